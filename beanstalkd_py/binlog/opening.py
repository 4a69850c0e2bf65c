"""Opening a binlog: the log is replayed into a state, checked, opened for writing, and compacted
before anybody is served.

Promises: damage to what had been promised raises an exception that names file and offset, and then
nothing is changed on disk. The operators' tools take their messages from here, so that they say the
same as the server.
"""

from collections.abc import Callable

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    IMPORT_BEGIN,
    IMPORT_END,
    VERSION,
    Import,
    decode_meta,
    encode,
    encode_meta,
)
from beanstalkd_py.binlog.replay import BadRecord, Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.state import State


class Unreadable(Exception):
    """The log is intact, but its records are not valid: they are newer than this version, or a job
    is updated that was never put. Nothing was changed.
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
    report: Callable[[str], None] = lambda line: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    threaded: bool = True,
    fs: wal.FileSystem | None = None,
) -> Binlog:
    """Replays the log in `directory` into `state` and opens it for writing.

    segment_bytes: bytes of a new segment. now: monotonic ns. wall_now: wall clock, ns. notify:
    called from the log's threads when `Binlog.collect` has something to do. report: called with a
    line for the operator. progress: called with the bytes done and all bytes. threaded: False does
    all work of the log in the calling thread. fs: the file system; None is the kernel's.

    Raises wal.Corrupt, wal.NewerVersion and Unreadable, when nothing was changed; also OSError and
    wal.LogFailed.
    """
    replayer = Replayer(state, Usage(), wall_now - now)
    replay = wal.Replay(directory, fs=fs)
    next_id = apply_all(replay, replayer, report, progress)
    state.next_id = max(state.next_id, next_id)
    if replay.torn is not None:
        report(f"{replay.torn}")  # before the cut: a kill between both must not hide it
    log = wal.Log.open(
        replay,
        segment_bytes=segment_bytes,
        durability=durability,
        meta=lambda: encode_meta(state.next_id),
        notify=notify,
        at=wall_now,
        threaded=threaded,
        fs=fs,
        raise_watermark=not replayer.orphans,
    )
    return begin(log, replayer, segment_bytes=segment_bytes, wall_now=wall_now, report=report)


def begin(
    log: Log,
    replayer: Replayer,
    *,
    segment_bytes: int,
    wall_now: int,
    report: Callable[[str], None],
) -> Binlog:
    """Begins to write on a log that was replayed. The arguments are those of `open_binlog`.

    Raises wal.LogFailed.
    """
    if replayer.importing:
        report("an import was not finished, and is forgotten")
        for phase in (IMPORT_BEGIN, IMPORT_END):
            log.append(encode(Import(phase, b"{}")))
    # Once a durable watermark covers it, an UPDATE record without a job is damage. So the same
    # commit says that the job is deleted.
    for id in replayer.orphans:
        log.ensure_headroom(DELETE_STRUCT.size)
        log.append(DELETE_STRUCT.pack(DELETE, id))
    opened = Binlog(replayer.state, log, replayer, segment_bytes, wall_now)
    replayer.state.journal = opened
    opened.compact()
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
    next_id = 1
    try:
        for frame in replay:
            if frame.segment != segment:
                segment = frame.segment
                read_meta(replay.segments[-1].path, replay.segments[-1].meta)
            replayer.apply(frame)
            progress(replay.bytes_done, replay.bytes_total)
        orphan = replayer.finish()
        if orphan is not None and orphan.lsn <= replay.watermark:
            raise orphan
        if orphan is not None:
            report(forgotten(orphan))
    except BadRecord as error:
        path = next(segment.path for segment in replay.segments if segment.number == error.segment)
        raise unreadable(path, error) from error
    if replay.segments:
        next_id = read_meta(replay.segments[-1].path, replay.segments[-1].meta)
    return max(next_id, replayer.highest_id + 1)


# Also for the operators' tools:


def unreadable(path: str, bad: BadRecord) -> Unreadable:
    """The exception for a record that is not valid. path: of its segment."""
    return Unreadable(f"{path}: corrupt at offset {bad.offset}: {bad}")


def forgotten(orphan: BadRecord) -> str:
    """The line about an UPDATE record without a job that was never promised."""
    return f"{orphan}; it was never promised, and is forgotten"


def read_meta(path: str, meta: bytes) -> int:
    """The next job id when the segment began, from its metadata. Raises Unreadable."""
    try:
        version, next_id = decode_meta(meta)
    except ValueError as error:
        raise Unreadable(f"{path}: corrupt at offset 0: {error}") from error
    if version > VERSION:
        raise NewerRecords(
            f"{path}: records of version {version} are newer than {VERSION}, the newest known here"
        )
    return next_id
