"""Recovery: what opening a log does to its directory before the first record is appended.

Promises: recovery may be interrupted anywhere and started again, with the same result. A torn tail
is cut off only after a copy of it is durable. Before the new segment gets its name, everything that
replay yielded is durable, and it is durable that the torn tail is cut off.
"""

from __future__ import annotations

import contextlib
import errno
import itertools

from beanstalkd_wal.directory import Directory, Durability, Spare, begin_segment, steps_of
from beanstalkd_wal.errors import SecondWriter, failure_of
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
        "disk_full",
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
        self.disk_full = False  # the new segment's file could not be made in full size
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
        raise failure_of(error, replay.directory, 0) from error
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
    """The spares without those that have a second name, which are removed.

    Where the file system renames in two steps, a kill leaves the names of a spare and a segment.
    In a copy of the directory by hard links (`cp -al`), the other log could write to the file.
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
    if directory.may_reuse and fs.links(info.path) > 1:
        _unshare(directory, info.path)
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


def _unshare(directory: Directory, path: str) -> None:
    """Replaces a segment by a copy of its own: its file is also that of another directory, a copy
    of this one by hard links (`cp -al`). A server may write to it there.
    """
    fs = directory.fs
    copy = directory.new_spare()
    try:
        fs.write(copy.handle, fs.read(path), 0)
        fs.sync(copy.handle)
    finally:
        fs.close(copy.handle)
    directory.rename(copy.path, path, replaces=True)
    directory.sync_names()


# --- the torn tail


def _keep_torn(torn: Torn, directory: Directory, spares: list[int]) -> None:
    """A durable copy of the torn tail, without the zeros at its end.

    On a full disk old spares are used for it, and their numbers are removed from `spares`.
    """
    data = directory.fs.read(torn.path)
    data = data[torn.offset : content_end(data, torn.offset)]
    path = torn_path(directory.path, torn.segment, torn.offset)
    name = next(name for name in candidates(path) if _may_hold(directory, name, data))
    full = _copied(directory, name, data)
    while full is not None:
        if not spares:
            raise full
        spare = spare_path(directory.path, spares.pop())
        full = _copied_to_spare(directory, spare, name, data)
    directory.sync_names()


def _may_hold(directory: Directory, name: str, data: bytes) -> bool:
    """Whether the name is free, or its file is an unfinished copy by an interrupted recovery."""
    try:
        kept = directory.fs.read(name)
    except FileNotFoundError:
        return True
    return kept == data[: len(kept)]


def _copied(directory: Directory, name: str, data: bytes) -> OSError | None:
    """Writes the copy into a new file. Returns the error of a full disk, and leaves no file then.

    The file may exist: see `_may_hold`.
    """
    fs = directory.fs
    full = None
    try:
        handle = _created_or_opened(fs, name)
        try:
            fs.write(handle, data, 0)  # an unfinished copy is a part of it
            fs.sync(handle)
        finally:
            fs.close(handle)
    except OSError as error:
        full = _only_full(error)
    if full is not None:
        with contextlib.suppress(FileNotFoundError):
            fs.unlink(name)
    return full


def _copied_to_spare(directory: Directory, spare: str, name: str, data: bytes) -> OSError | None:
    """Writes the copy over an old spare and renames it: a full disk may have no space for the name
    of a new file. Returns the error of a full disk; then the spare is deleted, to free its space.
    """
    fs = directory.fs
    directory.sync_names()  # for the reason in `_reused_spare`
    handle = fs.open(spare)
    try:
        fs.write(handle, data, 0)
        if fs.size(spare) > len(data):
            fs.truncate(handle, len(data))
        fs.sync(handle)
    except OSError as error:
        full = _only_full(error)
    else:
        directory.rename(spare, name)
        return None
    finally:
        fs.close(handle)
    fs.unlink(spare)
    return full


def _only_full(error: OSError) -> OSError:
    """Returns the error if free space would have prevented it, else raises it."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    return error


def _created_or_opened(fs: FileSystem, path: str) -> int:
    try:
        return fs.create(path)
    except FileExistsError:
        return fs.open(path)


# --- the new active segment


def _take_first_spare(found: Recovered, segment_bytes: int) -> None:
    """Makes the file for the new active segment: `found.active`.

    It is a new file, because old spares are the headroom for a full disk. On a full disk, a smaller
    new file is used (sealing has just freed the rest of the last segment). If that is much too
    small, or there is no space for the name of a new file, the largest old spare is used.
    """
    steps = steps_of(segment_bytes)
    full = _make_new_spare(found, segment_bytes, steps)
    if full is None:
        return
    found.disk_full = True
    made = found.active.size
    largest = max((nbytes for _, nbytes in found.dirty), default=0)
    least = 2 * steps[-1]
    if made >= 2 * steps[0] or made >= max(largest, least):
        return
    _delete_new_spare(found)
    if largest < least:
        raise full
    found.active = _reused_spare(found)


def _make_new_spare(found: Recovered, nbytes: int, steps: list[int]) -> OSError | None:
    """Creates a spare of nbytes, synced. Returns the error if there is no space, or no descriptor;
    then the file is smaller, or there is none.
    """
    try:
        # At once, so that the file is closed after any error.
        spare = found.active = found.directory.new_spare()
    except OSError as error:
        return _only_no_space(error)
    full = None
    for step in steps:
        full = _fill_up(found.directory, spare, nbytes, step)
        if full is None:
            break
    try:
        found.directory.fs.sync(spare.handle)
    except OSError as error:
        _delete_new_spare(found)  # what is on disk after a failed sync is unknown
        return _only_no_space(error)
    return full


def _fill_up(directory: Directory, spare: Spare, nbytes: int, step: int) -> OSError | None:
    """Fills the spare up to nbytes. Returns the error if there is no space."""
    try:
        while spare.size < nbytes:
            end = min(spare.size + step, nbytes)
            fill(directory.fs, spare.handle, spare.size, end)
            spare.size = end
    except OSError as error:
        full = _only_no_space(error)
        directory.fs.truncate(spare.handle, spare.size)
        return full
    return None


def _only_no_space(error: OSError) -> OSError:
    """Returns the error if space or descriptors are missing, else raises it."""
    if error.errno not in NO_SPACE:
        raise error
    return error


def _delete_new_spare(found: Recovered) -> None:
    spare, found.active = found.active, _NO_SPARE
    if spare.handle >= 0:
        found.directory.fs.close(spare.handle)
        found.directory.fs.unlink(spare.path)


def _reused_spare(found: Recovered) -> Spare:
    """The largest old spare, filled with zeros. It keeps its size, even if that is more than a
    segment's: on a full disk, what is cut off may be lost.
    """
    directory = found.directory
    path, nbytes = max(found.dirty, key=lambda spare: spare[1])
    found.dirty.remove((path, nbytes))
    # The file may have been a segment just before a kill, and its rename may not be durable. After
    # a power failure it could have the segment's name again, with zeros as content. So the rename
    # is made durable before the zeros are written.
    directory.sync_names()
    handle = directory.fs.open(path)
    spare = Spare(path, handle, nbytes)
    try:
        fill(directory.fs, handle, 0, spare.size)
    except OSError:
        directory.fs.close(handle)
        raise
    return spare
