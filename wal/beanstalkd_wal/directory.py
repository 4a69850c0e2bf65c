"""The log's directory, and what becomes a segment in it.

May know: files. Promises: a file has a segment's name only when its header is on disk, and what was
prepared behind it.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Iterator

from beanstalkd_wal.format import FRAME_BYTES, HEADER_BYTES, Header, encode_header
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import segment_path, spare_path

# What a file that becomes a segment cannot hold records in: its header, and the claim that a clean
# stop ends with.
OVERHEAD = HEADER_BYTES + FRAME_BYTES


class Durability(enum.Enum):
    """What a commit promises, and with what."""

    SYNC = 0  # durable: fdatasync has returned, for each batch
    WINDOW = 1  # written; durable when the owner asks for a sync
    NEVER = 2  # written; nothing is ever synced


class Spare:
    """A file that waits to become a segment: zeros from `start` of the file to `size`. Its handle
    is open, so that rotation opens nothing.
    """

    __slots__ = ("handle", "known", "lock", "path", "size", "taken")

    def __init__(self, path: str, handle: int, size: int) -> None:
        self.path = path
        self.handle = handle
        self.size = size  # what is zeros on disk: changed only under the lock
        self.known = 0  # what the owner knows of it, and may use: its own side's
        # set by the owner for good. Whoever lengthens the file looks at it under the lock
        self.taken = False
        self.lock = threading.Lock()


class Directory:
    """The log's directory, opened once: a rotation must not fail because file descriptors ran out."""

    __slots__ = ("fs", "handle", "numbers", "path", "sync")

    def __init__(self, fs: FileSystem, path: str, numbers: Iterator[int], sync: bool) -> None:
        self.fs = fs
        self.path = path
        self.numbers = numbers  # of spares: whoever takes one from here has it to himself
        self.sync = sync  # False: nothing is ever synced
        self.handle = fs.open_directory(path)

    def sync_names(self) -> None:
        if self.sync:
            self.fs.sync_directory(self.handle)

    def sync_data(self, handle: int) -> None:
        if self.sync:
            self.fs.sync(handle)

    def new_spare(self) -> Spare:
        path = spare_path(self.path, next(self.numbers))
        return Spare(path, self.fs.create(path), 0)

    def random_id(self) -> int:
        """Never 0, which stands for none."""
        return int.from_bytes(self.fs.urandom(8), "little") or 1

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what it was to make durable, it has
            self.fs.close(self.handle)


def begin_segment(directory: Directory, spare: Spare, header: Header) -> None:
    """Turns a spare into the segment that the header describes.

    First the header and what was prepared, then the name: a segment that has its name is whole.
    """
    with (
        spare.lock
    ):  # the preparer may just be lengthening it, but does not begin to when it is taken
        spare.taken = True
    directory.fs.write(spare.handle, encode_header(header), 0)
    directory.sync_data(spare.handle)
    directory.fs.rename(spare.path, segment_path(directory.path, header.number))
    directory.sync_names()
