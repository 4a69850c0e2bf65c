"""`jobs`: the jobs as they would be after replay, now or at an earlier moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import wal
from beanstalkd_binlog.entry import COUNTERS, changing, deadline, instant
from beanstalkd_binlog.light import Bodies, offset_of, stored
from beanstalkd_binlog.output import Column, Output, Table, pairs
from beanstalkd_binlog.status import complain
from beanstalkd_binlog.text import encoded, json_body, text
from beanstalkd_binlog.times import duration, local
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.jobs import DELAYED, STATE_NAMES, Job

COLUMNS = (
    ("job", True), ("tube", False), ("state", False), ("pri", True), ("age", True), ("ready in", True), ("ttr", True), ("counts", False),
    ("size", True), ("body", False),
)  # fmt: skip
BODY_BYTES = 1000  # more of a body no terminal shows in a line
DEFAULT_PRI = "-"


class Moment:
    """Until where records are applied: an LSN, an instant (ns), or all."""

    def __init__(self, lsn: int | None = None, at: int | None = None) -> None:
        self.lsn = lsn
        self.at = at

    def takes(self, frame: wal.Frame) -> int:
        """How many of the frame's records belong to it."""
        if self.at is not None:
            return len(frame.records) if frame.at <= self.at else 0
        if self.lsn is not None:
            return max(0, min(len(frame.records), self.lsn - frame.first_lsn + 1))
        return len(frame.records)

    @property
    def is_now(self) -> bool:
        return self.lsn is None and self.at is None


def replay_to(walk: Walk, moment: Moment, now: int) -> int:
    """Applies records to a moment (the walk leaves that to us). Returns the instant it was."""
    at = now if moment.at is None else moment.at
    for frame in walk:
        if not isinstance(frame, wal.Frame):
            continue
        count = moment.takes(frame)
        if count == len(frame.records):
            walk.replayer.apply(frame)
        else:
            _apply_first(walk, frame, count)
            break
        if moment.lsn is not None and frame.records:
            at = frame.at
    walk.settle(judge=moment.is_now)  # an update's job may come later than the moment
    walk.replayer.state.tick(at)
    return at


def _apply_first(walk: Walk, frame: wal.Frame, count: int) -> None:
    offset = offset_of(frame)
    for lsn, record in enumerate(frame.records[:count], frame.first_lsn):
        walk.replayer.apply_one(record, frame, lsn, offset)
        offset += len(record)


def jobs(walk: Walk, output: Output, moment: Moment, now: int, tubes: Iterable[str], states: Iterable[str], encoding: str | None) -> int:
    """Returns the exit status."""
    at = replay_to(walk, moment, now)
    _say_beginning(walk, moment)
    wanted = list(select(walk, tubes, states))
    with Bodies(walk.directory) as bodies:
        if output.as_json:
            for job in wanted:
                output.json({**fields(job), **_json_body(job, bodies, encoding, output)})
        else:
            _table(wanted, bodies, output, at, encoding or "text")
    return walk.report()


def _say_beginning(walk: Walk, moment: Moment) -> None:
    """What the log does not know any more."""
    segments = walk.reading.segments
    first = segments[min(segments)] if segments else None
    if moment.is_now or first is None or first.base_lsn <= 1:
        return
    complain(
        f"{walk.directory}: the log begins with LSN {first.base_lsn}, {local(first.created_at)}; "
        "jobs put before that are shown as of when they were written again"
    )


def select(walk: Walk, tubes: Iterable[str], states: Iterable[str]) -> Iterator[Job]:
    """By id."""
    names = frozenset(tube.encode() for tube in tubes)
    chosen = frozenset(states)
    known = walk.replayer.state.jobs
    for id in sorted(known):
        job = known[id]
        if (not names or job.tube.name in names) and (not chosen or STATE_NAMES[job.state] in chosen):
            yield job


def fields(job: Job) -> dict[str, object]:
    """For JSON: all but the body. lsn, segment and offset are those of the latest whole record."""
    place = stored(job)
    return {
        "job": job.id,
        "tube": text(job.tube.name),
        **changing(job),
        **deadline(job.state, job.deadline_at),
        "ttr_ns": job.ttr,
        **instant("created_at", job.created_at),
        "lsn": place.lsn,
        "segment": place.segment,
        "offset": place.offset,
    }


def _json_body(job: Job, bodies: Bodies, encoding: str | None, output: Output) -> dict[str, object]:
    data = bodies.read(job, -1 if output.full else BODY_BYTES)
    return json_body(data, len(job.body), encoding, output.full)


def _table(wanted: list[Job], bodies: Bodies, output: Output, at: int, encoding: str) -> None:
    table = Table(output, [Column(*column) for column in COLUMNS])
    for job in wanted:
        data = bodies.read(job, BODY_BYTES if output.width else -1)
        table.row(
            str(job.id), text(job.tube.name), STATE_NAMES[job.state], str(job.pri), duration(at - job.created_at),
            duration(job.deadline_at - at) if job.state == DELAYED else "", duration(job.ttr), counts(job),
            output.size(len(job.body)), "(gone)" if data is None else encoded(data, encoding),
        )  # fmt: skip
    table.end()


def counts(job: Job) -> str:
    return pairs((name, getattr(job, name)) for name in COUNTERS if getattr(job, name))
