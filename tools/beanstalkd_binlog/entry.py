"""A record told in words: what happened to which job, and what changed by it.

May know: records, and the job as it was before. Promises: the log is told as it is; what a record
does not say (the tube of a job whose beginning was dropped with its segment) is None, never
guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import beanstalkd_wal as wal

from beanstalkd_binlog.fields import COUNTERS, Fields, changing, deadline, instant
from beanstalkd_binlog.light import LightReplayer, offset_of
from beanstalkd_binlog.times import duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import (
    IMPORT_BEGIN,
    KIND_NAMES,
    Delete,
    Full,
    Import,
    Pause,
    Record,
    Update,
    decode,
    decode_meta,
)
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED, STATE_NAMES, Job

_EVENTS = {"timeouts": "timeout", "buries": "bury", "releases": "release", "kicks": "kick"}


class Entry:
    """One record in its place. `was` holds what it changed, as it was before; None if that is not
    known.
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
        """For JSON: everything but the body."""
        found: Fields = {
            "lsn": self.lsn,
            "segment": self.segment,
            "offset": self.offset,
            "frame_offset": self.frame_offset,
            **instant("at", self.at),
            "kind": self.kind,
            "event": self.event,
            "job": self.job,
            "tube": None if self.tube is None else self.tube.decode("utf-8", "backslashreplace"),
        }
        if self.record is None:
            return {**found, "reason": self.reason}
        return {
            **found,
            **_record_fields(self.record),
            **({} if self.was is None else {"was": self.was}),
        }

    def changed(self) -> str:
        """What changed, for eyes."""
        record = self.record
        if isinstance(record, (Full, Update)):
            return ", ".join(_whole(record) if self.was is None else _differences(record, self.was))
        if isinstance(record, Pause):
            return (
                f"for {duration(record.pause)}, until {local(record.until)}" if record.pause else ""
            )
        if isinstance(record, Import):
            return (
                "begins: all before is void"
                if record.phase == IMPORT_BEGIN
                else "ends: what came since is whole"
            )
        return self.reason


def entries(walk: Walk) -> Iterator[Entry | object]:
    """Of a walk that leaves applying to us. Damage and gaps are passed on."""
    for found in walk:
        if isinstance(found, wal.Frame):
            yield from frame_entries(found, walk.replayer, _first_put(walk, found))
        else:
            yield found


def _first_put(walk: Walk, frame: wal.Frame) -> int:
    """Whole jobs that nobody knows yet, with ids below this, were put before the log begins, and
    only written again here.
    """
    segments = walk.reading.segments
    if segments[min(segments)].base_lsn <= 1:
        return 0
    segment = segments[frame.segment]
    return first_put(segment.meta, frame.first_lsn == segment.base_lsn)


def first_put(meta: bytes, begins_segment: bool) -> int:
    """By the metadata of a frame's segment. The put that a segment begins for has its id before the
    segment has.
    """
    return max(next_id_of(meta) - begins_segment, 0)


def next_id_of(meta: bytes) -> int:
    """0 if it does not say: that is told elsewhere."""
    try:
        return decode_meta(meta)[1]
    except ValueError:
        return 0


def frame_entries(frame: wal.Frame, replayer: LightReplayer, next_id: int) -> Iterator[Entry]:
    """A frame's records, each told before it is applied. next_id: see `first_put`."""
    offset = offset_of(frame)
    for lsn, data in enumerate(frame.records, frame.first_lsn):
        entry = Entry(frame, lsn, offset)
        try:
            _tell(entry, data, replayer, next_id)
        except ValueError as error:
            entry.reason = str(error)
        replayer.apply_one(data, frame, lsn, offset)
        offset += len(data)
        yield entry


def _tell(entry: Entry, data: bytes, replayer: LightReplayer, next_id: int) -> None:
    record = entry.record = decode(data)
    entry.kind = entry.event = KIND_NAMES[data[0]]
    if isinstance(record, Pause):
        entry.tube = record.tube
        entry.event = "pause" if record.pause else "unpause"
    elif isinstance(record, (Full, Update, Delete)):
        _tell_job(entry, record, replayer, next_id)


def _tell_job(
    entry: Entry, record: Full | Update | Delete, replayer: LightReplayer, next_id: int
) -> None:
    entry.job = record.id
    before = replayer.state.jobs.get(record.id)
    entry.tube = record.tube if isinstance(record, Full) else before.tube.name if before else None
    if before is not None and not isinstance(record, Delete):
        entry.was = _was(record, before)
    if isinstance(record, Full):
        entry.event = (
            "import"
            if replayer.importing
            else "put"
            if before is None and _may_be_put(record, next_id)
            else "rewrite"
        )
    elif isinstance(record, Update):
        entry.event = _event(record, entry.was)


def _may_be_put(record: Full, next_id: int) -> bool:
    return (
        record.id >= next_id
        and record.state in (READY, DELAYED)
        and not any(getattr(record, name) for name in COUNTERS)
    )


def _event(record: Update, was: Fields | None) -> str:
    """Which command (or timer) wrote this update: each raises a counter of its own, but for
    reserve-job.
    """
    if record.state == RESERVED:
        return "reserve"
    raised = [_EVENTS[name] for name in _EVENTS if name in (was or {})]
    return raised[0] if len(raised) == 1 else "update"


# --- fields


def _record_fields(record: Record) -> Fields:
    if isinstance(record, Pause):
        return {
            "pause_ns": record.pause,
            **(instant("until", record.until) if record.pause else {}),
        }
    if isinstance(record, Import):
        return {
            "phase": "begin" if record.phase == IMPORT_BEGIN else "end",
            "source": record.text.decode("utf-8", "backslashreplace"),
        }
    if not isinstance(record, (Full, Update)):
        return {}
    found = {**changing(record), **deadline(record.state, record.deadline_at)}
    if isinstance(record, Full):
        found.update({"ttr_ns": record.ttr, **instant("created_at", record.created_at)})
    return found


def _was(record: Full | Update, before: Job) -> Fields:
    now = changing(record)
    return {name: value for name, value in changing(before).items() if value != now[name]}


# --- for eyes


def _whole(record: Full | Update) -> Iterable[str]:
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


def _differences(record: Full | Update, was: Fields) -> Iterable[str]:
    now = changing(record)
    for name, before in was.items():
        if name == "delay_ns":
            yield f"delay {duration(int(str(before)))} -> {duration(record.delay)}"
        else:
            yield f"{name} {before} -> {now[name]}"
    if "state" in was or "delay_ns" in was:
        yield from _until(record)


def _until(record: Full | Update) -> Iterable[str]:
    if record.state in (DELAYED, RESERVED):
        yield f"until {local(record.deadline_at)}"
