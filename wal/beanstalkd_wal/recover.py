"""Recovery: what opening a log does to its directory before the first record is appended.

Promises: recovery may be interrupted anywhere and started again, with the same result. A torn tail
is cut off only after a copy of it is durable. Before the new segment gets its name, everything that
replay yielded is durable, and it is durable that the torn tail is cut off.
"""

from __future__ import annotations

import contextlib
import itertools

from beanstalkd_wal.directory import OVERHEAD, Directory, Durability, Spare, begin_segment
from beanstalkd_wal.errors import LogFailed, SecondWriter
from beanstalkd_wal.format import Header
from beanstalkd_wal.fs import NO_SPACE, FileSystem, fill
from beanstalkd_wal.locking import Lock
from beanstalkd_wal.names import candidates, spare_numbers, spare_path, torn_path
from beanstalkd_wal.reader import content_end
from beanstalkd_wal.replay import Replay, SegmentInfo, Torn

_NO_SPARE = Spare("", -1, 0)


class Recovered:
    """The directory, ready for appending. Sizes are in bytes."""

    __slots__ = (
        "active",
        "directory",
        "dirty",
        "durable_lsn",
        "log_id",
        "number",
        "previous_segment_id",
        "sealed",
        "segment_id",
        "watermark",
    )

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.sealed: dict[int, int] = {}  # segment number -> size, ascending
        self.dirty: list[tuple[str, int]] = []  # old spares: path, size; their contents are unknown
        self.log_id = 0
        self.durable_lsn = 0
        self.watermark = 0
        # The active segment.
        self.active: Spare = _NO_SPARE
        self.number = 0
        self.segment_id = 0
        self.previous_segment_id = 0


def recover(
    replay: Replay,
    durability: Durability,
    segment_bytes: int,
    meta: bytes,
    at: int,
    raise_watermark: bool,
    lock: Lock | None,
) -> Recovered:
    """Makes the directory ready for appending. Raises LogFailed, or ValueError if meta is too long;
    all files are closed then.
    """
    fs = replay.fs
    spares = spare_numbers(fs.list(replay.directory))
    numbers = itertools.count(spares[-1] + 1 if spares else 1)
    directory = Directory(fs, replay.directory, numbers, lock)
    found = Recovered(directory)
    try:
        spares = _finish_renames(directory, spares)
        _settle(replay, found, spares)
        paths = [spare_path(directory.path, number) for number in spares]
        found.dirty = [(path, fs.size(path)) for path in paths]
        found.log_id = replay.log_id or directory.random_id()
        found.segment_id = directory.random_id()
        found.durable_lsn = replay.next_lsn - 1
        found.watermark = found.durable_lsn if raise_watermark else replay.watermark
        _take_first_spare(found, segment_bytes)
        header = Header(
            found.number,
            replay.next_lsn,
            found.watermark,
            found.log_id,
            at,
            found.segment_id,
            found.previous_segment_id,
            meta,
            durability.header_flags,
        )
        begin_segment(directory, found.active, header, replaces=found.number <= replay.last_segment)
    except OSError as error:
        _close(found)
        raise LogFailed(str(error.filename or replay.directory), 0, error.errno or 0) from error
    except (ValueError, SecondWriter):
        _close(found)
        raise
    return found


def _close(found: Recovered) -> None:
    if found.active.handle >= 0:
        with contextlib.suppress(OSError):
            found.directory.fs.close(found.active.handle)
    found.directory.close()


def _finish_renames(directory: Directory, spares: list[int]) -> list[int]:
    """The spares without those that are a segment too. A kill leaves a file with both names, where
    the file system renames in two steps.
    """
    fs = directory.fs
    left = []
    for number in spares:
        path = spare_path(directory.path, number)
        if fs.links(path) > 1:
            fs.unlink(path)
        else:
            left.append(number)
    return left


# --- the old segments


def _settle(replay: Replay, found: Recovered, spares: list[int]) -> None:
    """Cuts off the torn tail, and makes durable what replay has read."""
    if replay.torn:
        _keep_torn(replay.torn, found.directory, spares)
    segments = replay.segments
    found.number = replay.last_segment + 1
    empty = bool(segments) and segments[-1].next_lsn == segments[-1].base_lsn
    if empty and found.directory.may_reuse:
        # The last segment has no records. The new segment gets the same number, and its rename
        # replaces the old file. Otherwise each restart would leave an empty segment.
        found.number -= 1
        segments = segments[:-1]
    if segments:
        found.previous_segment_id = segments[-1].segment_id
    for info in segments:
        # For a segment without records, only a watermark at or above its base LSN shows that its
        # header is durable.
        durable = max(info.base_lsn, info.next_lsn - 1) <= replay.watermark
        found.sealed[info.number] = _seal(found.directory, info, info is segments[-1], durable)


def _seal(directory: Directory, info: SegmentInfo, last: bool, durable: bool) -> int:
    """Cuts the unused end off the last segment. Makes a segment durable that no watermark covers.

    Returns the size in bytes. The last segment is always synced: its size may not be durable.
    """
    nbytes = info.used_bytes if last else info.file_bytes
    if durable and not last:
        return nbytes
    fs = directory.fs
    handle = fs.open(info.path)
    try:
        if nbytes < info.file_bytes:
            fs.truncate(handle, nbytes)
        if not durable:
            # A sync of this file may have failed in an earlier process. Then the kernel may treat
            # the data as written although it is not on disk, and a second sync would succeed
            # without writing it. So the data is written again first.
            fs.write(handle, fs.read(info.path, nbytes), 0)
        fs.sync(handle)
    finally:
        fs.close(handle)
    return nbytes


# --- the torn tail


def _keep_torn(torn: Torn, directory: Directory, spares: list[int]) -> None:
    """A durable copy of the torn tail, without the zeros at its end.

    On a full disk it takes the space of old spares, and removes their numbers from `spares`.
    """
    data = directory.fs.read(torn.path)
    data = data[torn.offset : content_end(data, torn.offset)]
    path = torn_path(directory.path, torn.segment, torn.offset)
    name = next(name for name in candidates(path) if _may_hold(directory, name, data))
    while not _copied(directory, name, data, last_try=not spares):
        directory.fs.unlink(spare_path(directory.path, spares.pop()))
    directory.sync_names()


def _may_hold(directory: Directory, name: str, data: bytes) -> bool:
    """Whether the name is free, or its file is an unfinished copy by an interrupted recovery."""
    try:
        kept = directory.fs.read(name)
    except FileNotFoundError:
        return True
    return kept == data[: len(kept)]


def _copied(directory: Directory, name: str, data: bytes, last_try: bool) -> bool:
    """Writes the copy. False if the disk is full; on the last try a full disk raises OSError."""
    handle = _created_or_opened(directory.fs, name)
    try:
        directory.fs.write(handle, data, 0)  # an unfinished copy is a part of it
        directory.fs.sync(handle)
    except OSError as error:
        if last_try or error.errno not in NO_SPACE:
            raise
        return False
    finally:
        directory.fs.close(handle)
    return True


def _created_or_opened(fs: FileSystem, path: str) -> int:
    try:
        return fs.create(path)
    except FileExistsError:
        return fs.open(path)


# --- the new active segment


def _take_first_spare(found: Recovered, segment_bytes: int) -> None:
    """Makes the file for the new active segment: `found.active`.

    It is a new file, because old spares are the headroom for a full disk. On a full disk, a smaller
    new file is used (sealing has just freed the rest of the last segment). If that is not possible,
    the largest old spare is used.
    """
    directory = found.directory
    # At once, so that the file is closed after any error, also after one in the lines below.
    spare = found.active = directory.new_spare()
    step = max(segment_bytes // 16, OVERHEAD + 1)
    try:
        _fill_up(directory, spare, segment_bytes, step)
    except OSError as error:
        directory.fs.truncate(spare.handle, spare.size)
        if error.errno in NO_SPACE and spare.size >= 2 * step:
            return
        found.active = _NO_SPARE
        directory.fs.close(spare.handle)
        directory.fs.unlink(spare.path)
        largest = max((nbytes for _, nbytes in found.dirty), default=0)
        if error.errno not in NO_SPACE or largest < 2 * step:
            raise
        found.active = _reused_spare(found, segment_bytes)


def _fill_up(directory: Directory, spare: Spare, nbytes: int, step: int) -> None:
    while spare.size < nbytes:
        end = min(spare.size + step, nbytes)
        fill(directory.fs, spare.handle, spare.size, end)
        spare.size = end
    directory.fs.sync(spare.handle)


def _reused_spare(found: Recovered, segment_bytes: int) -> Spare:
    """The largest old spare, filled with zeros."""
    directory = found.directory
    path, nbytes = max(found.dirty, key=lambda spare: spare[1])
    found.dirty.remove((path, nbytes))
    # The file may have been a segment just before a kill, and its rename may not be durable. After
    # a power failure it could have the segment's name again, with zeros as content. So the rename
    # is made durable before the zeros are written.
    directory.sync_names()
    handle = directory.fs.open(path)
    spare = Spare(path, handle, min(nbytes, segment_bytes))
    try:
        if spare.size < nbytes:
            directory.fs.truncate(handle, spare.size)
        fill(directory.fs, handle, 0, spare.size)
    except OSError:
        directory.fs.close(handle)
        raise
    return spare
