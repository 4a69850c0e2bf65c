"""One record, described: what happened to which job, and what changed.

Promises: the log is described as it is. What a record does not say is None, never guessed: for
example the tube of a job whose full record was deleted with its segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import beanstalkd_wal as wal

from beanstalkd_binlog.fields import (
    COUNTERS,
    Fields,
    bytes_as_text,
    deadline,
    instant,
    mutable,
    of_attributes,
    policy_text,
    said_of,
)
from beanstalkd_binlog.light import LightReplayer, records_offset
from beanstalkd_binlog.times import duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.meta import decode_meta
from beanstalkd_py.binlog.records import (
    IMPORT_BEGIN,
    KIND_NAMES,
    SECOND_NS,
    Delete,
    Full,
    Ids,
    Import,
    Move,
    Pause,
    Record,
    Run,
    TubePolicy,
    Update,
    decode,
)
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED, STATE_NAMES, Job

_EVENTS = {"timeouts": "timeout", "buries": "bury", "releases": "release", "kicks": "kick"}


class Entry:
    """One record and its place. `was` holds the old values of the fields that the record changed;
    None if they are not known.
    """

    __slots__ = (
        "at",
        "event",
        "frame_offset",
        "job",
        "kind",
        "lsn",
        "offset",
        "reason",
        "record",
        "segment",
        "tube",
        "was",
    )

    def __init__(self, frame: wal.Frame, lsn: int, offset: int) -> None:
        self.lsn = lsn
        self.segment = frame.segment
        self.offset = offset
        self.frame_offset = frame.offset
        self.at = frame.at
        self.kind = self.event = "unreadable"
        self.job: int | None = None
        self.tube: bytes | None = None
        self.record: Record | None = None
        self.was: Fields | None = None
        self.reason = ""

    @property
    def body(self) -> bytes | None:
        return self.record.body if isinstance(self.record, Full) else None

    def fields(self) -> Fields:
        """For JSON, without the body."""
        found: Fields = {
            "lsn": self.lsn,
            "segment": self.segment,
            "offset": self.offset,
            "frame_offset": self.frame_offset,
            **instant("at", self.at),
            "kind": self.kind,
            "event": self.event,
            "job": self.job,
            "tube": None if self.tube is None else bytes_as_text(self.tube),
        }
        if self.record is None:
            return {**found, "reason": self.reason}
        was = {} if self.was is None else {"was": self.was}
        return {**found, **_record_fields(self.record), **was}

    def changes(self) -> str:
        """What the record changed, for a table."""
        record = self.record
        if isinstance(record, (Full, Update, Move)):
            return ", ".join(_values(record) if self.was is None else _changes(record, self.was))
        if isinstance(record, Pause):
            until = f"for {duration(record.pause)}, until {local(record.until)}"
            return until if record.pause else ""
        if isinstance(record, TubePolicy):
            return ", ".join(policy_text(record.policy))
        if isinstance(record, Run):
            return f"schedule {bytes_as_text(record.schedule)}: {_run_at(record)}"
        if isinstance(record, Import):
            begin = record.phase == IMPORT_BEGIN
            return "begin: all earlier jobs are void" if begin else "end: the import is complete"
        if isinstance(record, Ids):
            return f"ids below {record.bound} may be in use"
        return self.reason


def entries(walk: Walk) -> Iterator[Entry | object]:
    """Of a walk with replay=False: applies each frame. Damage and gaps are passed on."""
    for found in walk:
        if isinstance(found, wal.Frame):
            yield from frame_entries(found, walk.replayer, _first_new_id(walk, found))
        else:
            yield found


def _first_new_id(walk: Walk, frame: wal.Frame) -> int:
    """See `first_new_id`. 0 if the log has its beginning: then every unknown id is new."""
    segments = walk.reading.segments
    if segments[min(segments)].base_lsn <= 1:
        return 0
    segment = segments[frame.segment]
    return first_new_id(segment.meta, frame.first_lsn == segment.base_lsn)


def first_new_id(meta: bytes, begins_segment: bool) -> int:
    """The lowest job id that can be put in a frame, by the metadata of its segment. A full record
    of a lower, unknown id is a rewrite by compaction. A put that causes a rotation takes its id
    before the new segment is created.
    """
    return max(next_id_of(meta) - begins_segment, 0)


def next_id_of(meta: bytes) -> int:
    """The next id when the segment was created; 0 if the metadata cannot be decoded."""
    try:
        return decode_meta(meta).next_id
    except ValueError:
        return 0


def frame_entries(frame: wal.Frame, replayer: LightReplayer, new_id: int) -> Iterator[Entry]:
    """The frame's records. Each is described before it is applied. new_id: see `first_new_id`."""
    offset = records_offset(frame)
    for lsn, data in enumerate(frame.records, frame.first_lsn):
        entry = Entry(frame, lsn, offset)
        try:
            _describe(entry, data, replayer, new_id)
        except ValueError as error:
            entry.reason = str(error)
        replayer.apply_one(data, frame, lsn, offset)
        offset += len(data)
        yield entry


def _describe(entry: Entry, data: bytes, replayer: LightReplayer, new_id: int) -> None:
    record = entry.record = decode(data)
    entry.kind = entry.event = KIND_NAMES[data[0]]
    if isinstance(record, TubePolicy):
        entry.tube = record.tube
    elif isinstance(record, Pause):
        entry.tube = record.tube
        entry.event = "pause" if record.pause else "unpause"
    elif isinstance(record, (Full, Update, Move, Delete)):
        _describe_job(entry, record, replayer, new_id)


def _describe_job(
    entry: Entry, record: Full | Update | Move | Delete, replayer: LightReplayer, new_id: int
) -> None:
    entry.job = record.id
    before = replayer.state.jobs.get(record.id)
    entry.tube = (
        record.tube if isinstance(record, (Full, Move)) else before.tube.name if before else None
    )
    if before is not None and not isinstance(record, Delete):
        entry.was = _old_values(record, before)
    if isinstance(record, Update):
        entry.event = _update_event(record, entry.was)
    elif isinstance(record, Full) and replayer.importing:
        entry.event = "import"
    elif isinstance(record, Full):
        is_put = before is None and _can_be_put(record, new_id)
        entry.event = "put" if is_put else "rewrite"


def _can_be_put(record: Full, new_id: int) -> bool:
    return (
        record.id >= new_id
        and record.state in (READY, DELAYED)
        and not any(getattr(record, name) for name in COUNTERS)
    )


def _update_event(record: Update, was: Fields | None) -> str:
    """Which command or timer wrote this update. Each raises one counter of its own, except
    reserve-job.
    """
    if record.state == RESERVED:
        return "reserve"
    raised = [_EVENTS[name] for name in _EVENTS if name in (was or {})]
    return raised[0] if len(raised) == 1 else "update"


def _run_at(record: Run) -> str:
    return local(record.at * SECOND_NS) if record.at else "gone"


# --- JSON


def _record_fields(record: Record) -> Fields:
    if isinstance(record, Pause):
        until = instant("until", record.until) if record.pause else {}
        return {"pause_ns": record.pause, **until}
    if isinstance(record, TubePolicy):
        return {**record.policy._asdict(), "dead_tube": bytes_as_text(record.policy.dead_tube)}
    if isinstance(record, Run):
        at = instant("run_at", record.at * SECOND_NS) if record.at else {}
        return {"schedule": bytes_as_text(record.schedule), **at}
    if isinstance(record, Import):
        phase = "begin" if record.phase == IMPORT_BEGIN else "end"
        return {"phase": phase, "source": bytes_as_text(record.text)}
    if isinstance(record, Ids):
        return {"id_bound": record.bound}
    if not isinstance(record, (Full, Update, Move)):
        return {}
    found = {**mutable(record), **deadline(record.state, record.deadline_at)}
    if not isinstance(record, Update) and record.attributes is not None:
        found.update(of_attributes(record.attributes))
    if isinstance(record, Full):
        found.update({"ttr_ns": record.ttr, **instant("created_at", record.created_at)})
    return found


def _old_values(record: Full | Update | Move, before: Job) -> Fields:
    now = mutable(record)
    was = {name: value for name, value in mutable(before).items() if value != now[name]}
    if isinstance(record, Move):
        was["tube"] = bytes_as_text(before.tube.name)
    return was


# --- tables


def _values(record: Full | Update | Move) -> Iterable[str]:
    yield STATE_NAMES[record.state]
    yield from _until(record)
    yield f"pri {record.pri}"
    if record.delay:
        yield f"delay {duration(record.delay)}"
    if isinstance(record, Full):
        yield f"ttr {duration(record.ttr)}"
    for name in COUNTERS:
        if getattr(record, name):
            yield f"{name} {getattr(record, name)}"
    if isinstance(record, (Full, Move)) and record.attributes is not None:
        yield from said_of(record.attributes)


def _changes(record: Full | Update | Move, was: Fields) -> Iterable[str]:
    now: Fields = mutable(record)
    if isinstance(record, Move):
        now["tube"] = bytes_as_text(record.tube)
    for name, before in was.items():
        if name == "delay_ns":
            yield f"delay {duration(int(str(before)))} -> {duration(record.delay)}"
        else:
            yield f"{name} {before} -> {now[name]}"
    if "state" in was or "delay_ns" in was:
        yield from _until(record)
    if isinstance(record, Move) and record.attributes is not None:
        yield from said_of(record.attributes)


def _until(record: Full | Update | Move) -> Iterable[str]:
    if record.state in (DELAYED, RESERVED):
        yield f"until {local(record.deadline_at)}"
