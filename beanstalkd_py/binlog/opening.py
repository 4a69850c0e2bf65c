"""Opening a binlog: replays the log into a state, checks it, opens it for writing, and compacts it
before any client is served.

Promises: damage to durable records raises an exception that names file and offset, and nothing is
changed on disk then. The operators' tools use the messages of this module, so that they say the
same as the server.
"""

from collections.abc import Callable
from typing import Protocol

import beanstalkd_wal as wal

from beanstalkd_py.binlog.ids import ReservedIds, ids_per_segment
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.meta import Meta, decode_meta
from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    IMPORT_BEGIN,
    IMPORT_END,
    VERSION,
    Import,
    encode,
)
from beanstalkd_py.binlog.replay import BadRecord, Replayer
from beanstalkd_py.binlog.report import Report, about, unreported
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.state import State


class Unreadable(Exception):
    """The log is intact, but its records cannot be used: they have a newer version or invalid
    content, or a job with an UPDATE record has no other. Nothing was changed.
    """


class NewerRecords(Unreadable):
    """The records have a newer version than this server knows. Nothing was changed."""


def open_binlog(
    directory: str,
    state: State,
    *,
    segment_bytes: int,
    durability: wal.Durability,
    now: int,
    wall_now: int,
    notify: Callable[[], None],
    report: Report = unreported,
    progress: Callable[[int, int], None] = lambda done, total: None,
    threaded: bool = True,
    fs: wal.FileSystem | None = None,
    lock: wal.Lock | None = None,
) -> Binlog:
    """Replays the log in `directory` into `state` and opens it for writing.

    segment_bytes: bytes of a new segment. now: boot time, ns. wall_now: wall clock, ns. notify:
    called from the log's threads when `Binlog.collect` has something to do. report: called with a
    line for the operator. progress: called with the bytes done and all bytes. threaded: False does
    all work of the log in the calling thread. fs: the file system; None is the kernel's. lock: the
    directory's; the log fails if it is lost.

    Raises wal.Corrupt, wal.NewerVersion and Unreadable, when nothing was changed; also OSError and
    wal.LogFailed.
    """
    replayer = Replayer(state, Usage(), wall_now - now, now)
    replay = wal.Replay(directory, fs=fs)
    next_id = apply_all(replay, replayer, report, progress)
    state.next_id = max(state.next_id, next_id)
    always_synced = durability is wal.Durability.SYNC
    ids = ReservedIds(state, 0 if always_synced else ids_per_segment(segment_bytes))
    if replay.torn is not None:
        report(f"{replay.torn}")  # before the tail is cut off: a kill in between must not hide it
    elif replay.may_miss_changes:
        report(
            f"{replay.segments[-1].path}: was written with -F and not closed: "
            f"if the power failed, the changes after LSN {replay.next_lsn - 1} are gone"
        )
    log = wal.Log.open(
        replay,
        segment_bytes=segment_bytes,
        durability=durability,
        meta=ids.begin_segment,
        notify=notify,
        at=wall_now,
        threaded=threaded,
        fs=fs,
        raise_watermark=not replayer.orphans,
        lock=lock,
    )
    if not log.names_synced:
        report(names_not_synced(directory))
    return begin(
        log,
        replayer,
        ids,
        segment_bytes=segment_bytes,
        wall_now=wall_now,
        report=about(directory, report),
    )


def begin(
    log: Log,
    replayer: Replayer,
    ids: ReservedIds,
    *,
    segment_bytes: int,
    wall_now: int,
    report: Report,
) -> Binlog:
    """Begins to write on a log that was replayed. ids: what `log` asks for the metadata of its
    segments. Other arguments are those of `open_binlog`; the lines that are reported do not name
    the log.

    Raises wal.LogFailed.
    """
    if replayer.importing:
        report("an unfinished import is discarded")
        for phase in (IMPORT_BEGIN, IMPORT_END):
            log.append(encode(Import(phase, b"{}")))
    # If a durable watermark covers an UPDATE record without a job, the next start takes it for
    # damage. The frame of the next commit has such a watermark. So a DELETE of the job goes into
    # the same frame, and both become durable together.
    for id in replayer.orphans:
        log.ensure_headroom(DELETE_STRUCT.size)
        log.append(DELETE_STRUCT.pack(DELETE, id))
    opened = Binlog(replayer.state, log, replayer, ids, segment_bytes, wall_now, report)
    replayer.state.journal = opened
    opened.compactor.catch_up()
    return opened


def apply_all(
    replay: wal.Replay,
    replayer: Replayer,
    report: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> int:
    """Applies everything in the log. Returns the next job id. Raises wal.Corrupt, wal.NewerVersion,
    Unreadable and OSError.

    report, progress: as for `open_binlog`.
    """
    segment = 0
    try:
        for frame in replay:
            if frame.segment != segment:
                segment = frame.segment
                read_meta(replay.segments[-1].path, replay.segments[-1].meta)
            replayer.apply(frame)
            progress(replay.bytes_done, replay.bytes_total)
            del frame  # it holds the bytes of its segment, and the next one may be read now
        orphan = replayer.finish()
        if orphan is not None and orphan.lsn <= replay.watermark:
            raise orphan
        if orphan is not None:
            report(discarded(_path(replay, orphan), orphan))
    except BadRecord as error:
        raise unreadable(_path(replay, error), error) from error
    if not replay.segments:
        return 1
    last = replay.segments[-1]
    return find_next_id(read_meta(last.path, last.meta), last.number, replayer)


def _path(replay: wal.Replay, bad: BadRecord) -> str:
    return next(segment.path for segment in replay.segments if segment.number == bad.segment)


# Also for the operators' tools:


def names_not_synced(directory: str) -> str:
    """The line about a file system that cannot sync directories."""
    return (
        f"{directory}: the file system cannot sync directories: a power failure may take new files "
        "or bring deleted ones back; keep the log on a local disk"
    )


def unreadable(path: str, bad: BadRecord) -> Unreadable:
    """The exception for an invalid record. path: the segment's."""
    return Unreadable(f"{path}: corrupt at offset {bad.offset}: {bad}")


def discarded(path: str, orphan: BadRecord) -> str:
    """The line about an UPDATE record without a job that no durable watermark covers."""
    place = f"{path}: offset {orphan.offset}"
    return f"{place}: {orphan}; it is not known to be durable, so it is discarded"


class Counted(Protocol):
    """What a replay has found out about ids: `Replayer`, or that of the operators' tools."""

    @property
    def highest_id(self) -> int: ...

    @property
    def id_bound(self) -> tuple[int, int]: ...


def find_next_id(meta: Meta, segment: int, found: Counted) -> int:
    """The next job id after replay. meta, segment: metadata and number of the last segment."""
    at, bound = found.id_bound
    return max(bound if at == segment else meta.id_bound, meta.next_id, found.highest_id + 1)


def read_meta(path: str, meta: bytes) -> Meta:
    """The metadata of a segment. Raises Unreadable."""
    try:
        found = decode_meta(meta)
    except ValueError as error:
        raise Unreadable(f"{path}: corrupt at offset 0: {error}") from error
    if found.version > VERSION:
        raise NewerRecords(
            f"{path}: records of version {found.version} are newer than {VERSION}, "
            "the newest known here"
        )
    return found
