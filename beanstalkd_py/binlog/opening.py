"""How a binlog opens: the log is replayed into a state, judged, opened for writing, and put in
order before anybody is served.

Promises: where anything cannot be what it was meant to be, an exception that names file and offset,
and nothing is changed. What the tools for operators say of the same log, they say in the words of
this room.
"""

from collections.abc import Callable

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
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
    """The log is whole, but what it says cannot be: newer records, or a job's beginning is missing.
    Nothing was changed.
    """


class NewerRecords(Unreadable):
    """Records of a version that is not known here."""


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

    now, wall_now: monotonic and wall-clock ns. notify: called from the log's threads when there is
    news. report: a line for the operator. progress: bytes done and in all. Raises wal.Corrupt,
    wal.NewerVersion and Unreadable (then nothing was changed), OSError and wal.LogFailed.
    """
    accounts = Usage()
    replayer = Replayer(state, accounts, wall_now - now)
    replay = wal.Replay(directory, fs=fs)
    next_id = apply_all(replay, replayer, report, progress)
    state.next_id = max(state.next_id, next_id)
    if replay.torn is not None:
        report(f"{replay.torn}")  # before it is cut off: a kill in between must not leave it unsaid
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
    if replayer.importing:
        report("an import was not finished, and is forgotten")
        for phase in (IMPORT_BEGIN, IMPORT_END):
            log.append(encode(Import(phase, b"{}")))
    for id in replayer.orphans:  # together with the claim behind which they would be damage
        if not log.fits(DELETE_STRUCT.size):
            log.ensure_headroom(DELETE_STRUCT.size)
        log.append(DELETE_STRUCT.pack(DELETE, id))
    opened = Binlog(state, log, replayer, segment_bytes, wall_now)
    state.journal = opened
    opened.compact()
    return opened


def apply_all(
    replay: wal.Replay,
    replayer: Replayer,
    report: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> int:
    """Everything in the log to the replayer's state. Returns the next id. Raises as `open_binlog`
    does.
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


# What the tools say as well, in the same words:


def unreadable(path: str, bad: BadRecord) -> Unreadable:
    return Unreadable(f"{path}: corrupt at offset {bad.offset}: {bad}")


def forgotten(orphan: BadRecord) -> str:
    return f"{orphan}; it was never promised, and is forgotten"


def read_meta(path: str, meta: bytes) -> int:
    """The next id when the segment began, out of its metadata. Raises Unreadable."""
    try:
        version, next_id = decode_meta(meta)
    except ValueError as error:
        raise Unreadable(f"{path}: corrupt at offset 0: {error}") from error
    if version > VERSION:
        raise NewerRecords(
            f"{path}: records of version {version} are newer than {VERSION}, the newest known here"
        )
    return next_id
