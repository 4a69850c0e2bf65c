"""The log's directory, and how a preallocated file becomes a segment in it.

Promises: a file gets a segment's name only after its header and its preallocated zeros are durable.
"One writer": no file is replaced, except by recovery: a last segment without records, and one that
another directory has too (hard links). If a name is taken that should be free, or the lock is lost,
SecondWriter is raised.
"""

from __future__ import annotations

import contextlib
import enum
import threading
from collections.abc import Iterator

from beanstalkd_wal.errors import SecondWriter
from beanstalkd_wal.format import (
    CREATED_UNDER_NEVER,
    FRAME_BYTES,
    HEADER_BYTES,
    Header,
    encode_header,
)
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.locking import Lock
from beanstalkd_wal.names import segment_path, spare_path

# Bytes of a segment that no record can use: the header, and the empty frame with the watermark that
# a clean stop writes at the end.
OVERHEAD = HEADER_BYTES + FRAME_BYTES
EXISTS = "the file exists already"

# The smallest step by which a spare grows, in bytes: a block of most file systems, and more than
# OVERHEAD.
MIN_STEP = 4096


class Durability(enum.Enum):
    """When a record counts as promised (`Log.promised_lsn`)."""

    SYNC = 0  # when it is durable; each batch is synced
    WINDOW = 1  # when it is written; the owner calls Log.sync
    NEVER = 2  # when it is written; Log.sync does nothing (see the package for what is synced)

    @property
    def header_flags(self) -> int:
        """Flags of a segment that is created in this mode."""
        return CREATED_UNDER_NEVER if self is Durability.NEVER else 0


class Spare:
    """A preallocated segment: zeros from the start to `size`. After a rotation, the log and the
    committer keep this object for the file of the active segment.

    handle is open, so rotation needs no new file descriptor; -1: closed. Sizes are in bytes.
    """

    __slots__ = ("handle", "known", "lock", "path", "size", "taken")

    def __init__(self, path: str, handle: int, size: int) -> None:
        self.path = path
        self.handle = handle
        self.size = size  # on disk; changed only under `lock`
        self.known = 0  # how much of `size` was reported to the owner; only the owner uses it
        # Set by the owner, and never reset. The preparer checks it under `lock`, and then does not
        # lengthen the file.
        self.taken = False
        self.lock = threading.Lock()


class Directory:
    """The log's directory, opened once: rotation then needs no new file descriptor."""

    __slots__ = ("fs", "handle", "lock", "names_synced", "path", "spare_numbers")

    def __init__(
        self, fs: FileSystem, path: str, spare_numbers: Iterator[int], lock: Lock | None = None
    ) -> None:
        self.fs = fs
        self.path = path
        self.lock = lock  # None: no lock is checked
        self.spare_numbers = spare_numbers  # of new spares; both threads take from it
        self.handle = fs.open_directory(path)
        self.names_synced = True  # False: the file system cannot sync directories

    def sync_names(self) -> None:
        if not self.fs.sync_directory(self.handle):
            self.names_synced = False

    def new_spare_path(self) -> str:
        return spare_path(self.path, next(self.spare_numbers))

    @property
    def may_reuse(self) -> bool:
        """Whether a segment may be replaced, or its file be used again. Otherwise another server,
        which has not yet noticed that its lock is lost, could still write to that file.
        """
        return self.lock is None or self.lock.covers_directory

    def check_lock(self) -> None:
        """Called before files are created, resized, renamed or deleted. Raises SecondWriter."""
        if self.lock is not None:
            self.lock.check()

    def new_spare(self) -> Spare:
        self.check_lock()
        path = self.new_spare_path()
        try:
            return Spare(path, self.fs.create(path), 0)
        except FileExistsError as error:
            raise SecondWriter(path, EXISTS) from error

    def rename(self, old: str, new: str, replaces: bool = False) -> None:
        """Raises SecondWriter if `new` exists, unless it `replaces` that file."""
        self.check_lock()
        try:
            if replaces:
                self.fs.replace(old, new)
            else:
                self.fs.rename(old, new)
        except FileExistsError as error:
            raise SecondWriter(new, EXISTS) from error

    def random_id(self) -> int:
        """64 random bits. Never 0, which stands for "no segment"."""
        return int.from_bytes(self.fs.urandom(8), "little") or 1

    def close(self) -> None:
        with contextlib.suppress(OSError):  # all names were synced before
            self.fs.close(self.handle)


def steps_of(segment_bytes: int) -> list[int]:
    """The steps by which a spare grows, in bytes. On an almost full disk smaller ones are tried, to
    use the space that is left.
    """
    step = max(segment_bytes // 16, OVERHEAD + 1)
    return [step, *(size for size in (step // 4, MIN_STEP) if MIN_STEP <= size < step)]


def begin_segment(
    directory: Directory, spare: Spare, header: Header, replaces: bool = False
) -> None:
    """Turns a spare into the segment that the header describes. Header and name are durable then.

    The header and the zeros are synced before the rename. So a file with a segment's name always
    has a durable header. replaces: there is a segment with this number, and it has no records.
    """
    directory.check_lock()
    with spare.lock:  # waits for the preparer, if it is lengthening this spare
        spare.taken = True
    fs = directory.fs
    fs.write(spare.handle, encode_header(header), 0)
    fs.sync(spare.handle)
    directory.rename(spare.path, segment_path(directory.path, header.number), replaces)
    directory.sync_names()
