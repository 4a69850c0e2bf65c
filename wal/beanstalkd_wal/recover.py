"""What opening a log does to its directory before the first record is appended.

May know: files, and what replay found. Promises: it may be stopped anywhere and begun again, with
the same outcome; nothing is cut before it was kept aside; when it returns (and unless nothing is
ever synced) all that replay yielded is durable, and the torn rest gone for good, before there is a
new segment to follow it.
"""

from __future__ import annotations

import contextlib
import itertools
import os

from beanstalkd_wal.directory import OVERHEAD, Directory, Durability, Spare, begin_segment
from beanstalkd_wal.errors import LogFailed
from beanstalkd_wal.format import UNSYNCED, Header
from beanstalkd_wal.fs import NO_ROOM, FileSystem, fill
from beanstalkd_wal.names import segment_numbers, spare_numbers, spare_path, torn_path, tries
from beanstalkd_wal.reader import content_end
from beanstalkd_wal.replay import Replay, SegmentInfo, Torn


class Recovered:
    """The directory, ready to be written to."""

    __slots__ = (
        "active",
        "segment_id",
        "watermark",
        "directory",
        "dirty",
        "durable_lsn",
        "log_id",
        "number",
        "previous_segment_id",
        "sealed",
    )

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        self.sealed: dict[int, int] = {}
        self.dirty: list[tuple[str, int]] = []  # left-over spares that nobody knows the contents of
        self.log_id = 0
        self.number = 0
        self.segment_id = 0
        self.previous_segment_id = 0
        self.durable_lsn = 0
        self.watermark = 0
        self.active: Spare = _NO_SPARE


_NO_SPARE = Spare("", -1, 0)


def recover(
    replay: Replay,
    durability: Durability,
    segment_bytes: int,
    meta: bytes,
    at: int,
    raise_watermark: bool,
) -> Recovered:
    fs = replay.fs
    synced = durability is not Durability.NEVER
    spares = spare_numbers(fs.list(replay.directory))
    directory = Directory(
        fs, replay.directory, itertools.count(spares[-1] + 1 if spares else 1), synced
    )
    found = Recovered(directory)
    try:
        _settle(replay, directory, found, spares)
        found.dirty = [_with_size(fs, spare_path(directory.path, number)) for number in spares]
        found.log_id = replay.log_id or directory.random_id()
        found.segment_id = directory.random_id()
        found.durable_lsn = replay.next_lsn - 1 if synced else replay.watermark
        found.watermark = found.durable_lsn if raise_watermark else replay.watermark
        found.active = _first_spare(directory, segment_bytes, found)
        flags = 0 if synced else UNSYNCED
        header = Header(
            found.number,
            replay.next_lsn,
            found.watermark,
            found.log_id,
            at,
            found.segment_id,
            found.previous_segment_id,
            meta,
            flags,
        )
        begin_segment(directory, found.active, header)
    except OSError as error:
        _release(found)
        raise LogFailed(str(error.filename or replay.directory), 0, error.errno or 0) from error
    except ValueError:  # metadata that is too long
        _release(found)
        raise
    return found


def _release(found: Recovered) -> None:
    if found.active.handle >= 0:
        with contextlib.suppress(OSError):
            found.directory.fs.close(found.active.handle)
    found.directory.close()


def _with_size(fs: FileSystem, path: str) -> tuple[str, int]:
    return path, fs.size(path)


# --- what is there


def _settle(replay: Replay, directory: Directory, found: Recovered, spares: list[int]) -> None:
    """Cuts, seals and syncs what replay has read."""
    fs = directory.fs
    if replay.torn:
        _keep_torn(replay.torn, directory, spares)
        _remove_torn(replay.torn, directory)
    if replay.unborn:
        fs.unlink(replay.unborn)
    if replay.torn or replay.unborn:
        directory.sync_names()
    segments = replay.segments
    found.number = replay.last_segment + 1
    if segments and segments[-1].next_lsn == segments[-1].base_lsn:
        # No record in it: its successor takes its number and, by the rename, its place. Restarts
        # leave no trail of empty segments.
        found.number -= 1
        segments = segments[:-1]
    if segments:
        found.previous_segment_id = segments[-1].segment_id
    for info in segments:
        unclaimed = (
            max(info.base_lsn, info.next_lsn - 1) > replay.watermark
        )  # of one without a record, nobody has said that its header is durable
        found.sealed[info.number] = _seal(directory, info, info is segments[-1], unclaimed)


def _seal(directory: Directory, info: SegmentInfo, last: bool, unclaimed: bool) -> int:
    """Truncates the last segment to what is used of it, and makes durable what nothing says is.
    Returns the size.

    The end of the last one is made durable even if nothing is cut off: a start without syncs may
    have done that, and left no trace.
    """
    nbytes = info.used_bytes if last else info.file_bytes
    cut = nbytes < info.file_bytes
    unsafe = unclaimed and directory.sync
    if not cut and not unsafe and not (last and directory.sync):
        return nbytes
    handle = directory.fs.open(info.path)
    try:
        if cut:
            directory.fs.truncate(handle, nbytes)
        if unsafe:
            # A sync of it may have failed before. The kernel takes it for written since then:
            # another sync would do nothing, and succeed.
            directory.fs.write(handle, directory.fs.read(info.path, nbytes), 0)
        directory.sync_data(handle)
    finally:
        directory.fs.close(handle)
    return nbytes


def _keep_torn(torn: Torn, directory: Directory, spares: list[int]) -> None:
    _keep(directory, torn.path, torn.segment, torn.offset, spares)
    for path in torn.later:
        _keep(directory, path, segment_numbers([os.path.basename(path)])[0], 0, spares)
    directory.sync_names()


def _remove_torn(torn: Torn, directory: Directory) -> None:
    """The segments that are torn as a whole. What is left in between must be read the same way
    again: hence the newest first.

    That one without a header was never synced, the headers around it tell: so it goes before these.
    The place itself may be one; empty and the last, it is a segment that was being born.
    """
    fs = directory.fs
    if torn.offset == 0:
        _empty(torn.path, directory)
    others = [path for path in torn.later if path not in torn.headless]
    for path in (*reversed(torn.headless), *reversed(others)):
        fs.unlink(path)
    if torn.offset == 0:
        fs.unlink(torn.path)


def _empty(path: str, directory: Directory) -> None:
    handle = directory.fs.open(path)
    try:
        directory.fs.truncate(handle, 0)
        directory.sync_data(handle)
    finally:
        directory.fs.close(handle)


def _keep(directory: Directory, path: str, segment: int, offset: int, spares: list[int]) -> None:
    """A copy of a file from an offset on, without the zeros at its end, under a name that holds
    nothing else.
    """
    data = directory.fs.read(path)
    data = data[offset : content_end(data, offset)]
    if not data:
        return
    names = tries(torn_path(directory.path, segment, offset))
    name = next(names)
    while not _may_hold(directory, name, data):
        name = next(names)
    while not _copied(directory, name, data, last=not spares):
        # A full disk: what was set aside for it are the left-over spares.
        directory.fs.unlink(spare_path(directory.path, spares.pop()))


def _may_hold(directory: Directory, name: str, data: bytes) -> bool:
    """Whether there is nothing of that name, or nothing but a copy that a recovery before this one
    did not finish.
    """
    try:
        kept = directory.fs.read(name)
    except FileNotFoundError:
        return True
    return kept == data[: len(kept)]


def _copied(directory: Directory, name: str, data: bytes, last: bool) -> bool:
    """Whether there was space for it; if this is the last try, that is an error."""
    handle = directory.fs.create(name)
    try:
        directory.fs.write(handle, data, 0)
        directory.sync_data(handle)
    except OSError as error:
        if last or error.errno not in NO_ROOM:
            raise
        return False
    finally:
        directory.fs.close(handle)
    return True


# --- the new active segment


def _first_spare(directory: Directory, segment_bytes: int, found: Recovered) -> Spare:
    """The file for the new active segment: a new one, since left-over spares are what was set aside
    for a full disk.

    Sealing has just given back the rest of the last segment, so on a disk that was full there may
    be place for a smaller one.
    """
    spare = directory.new_spare()
    step = max(segment_bytes // 16, OVERHEAD + 1)
    try:
        _fill_up(directory, spare, segment_bytes, step)
    except OSError as error:
        directory.fs.truncate(spare.handle, spare.size)
        if error.errno in NO_ROOM and spare.size >= 2 * step:
            return spare
        directory.fs.close(spare.handle)
        directory.fs.unlink(spare.path)
        if (
            error.errno not in NO_ROOM
            or max((nbytes for _, nbytes in found.dirty), default=0) < 2 * step
        ):
            raise
        return _left_over(directory, segment_bytes, found)
    return spare


def _fill_up(directory: Directory, spare: Spare, nbytes: int, step: int) -> None:
    while spare.size < nbytes:
        end = min(spare.size + step, nbytes)
        fill(directory.fs, spare.handle, spare.size, end)
        spare.size = end
    directory.sync_data(spare.handle)


def _left_over(directory: Directory, segment_bytes: int, found: Recovered) -> Spare:
    """The largest left-over spare, emptied."""
    path, nbytes = max(found.dirty, key=lambda spare: spare[1])
    found.dirty.remove((path, nbytes))
    # it may have been dropped just before a kill: on disk it has a segment's name still
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
