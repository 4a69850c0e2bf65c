"""`jobs`: the jobs as they would be after a restart, or as they were at an earlier moment."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from beanstalkd_binlog.fields import COUNTERS, deadline, instant, mutable, of_attributes, said_of
from beanstalkd_binlog.light import Bodies, stored
from beanstalkd_binlog.moment import Moment, Past
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.status import warn
from beanstalkd_binlog.text import CUT_BYTES, count, json_body, table_body, text
from beanstalkd_binlog.times import duration
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES
from beanstalkd_py.queue.model import DELAYED, STATE_NAMES, Job
from beanstalkd_py.queue.state import State

COLUMNS = (
    ("job", True),
    ("tube", False),
    ("state", False),
    ("pri", True),
    ("age", True),
    ("ready in", True),
    ("ttr", True),
    ("size", True),
    ("counts", False),
    ("body", False),
)


class View:
    """Jobs at a moment. uncertain: ids of jobs that are shown in a later state."""

    def __init__(self, state: State, at: int, uncertain: Container[int] = ()) -> None:
        self.state = state
        self.at = at
        self.uncertain = uncertain


def view(walk: Walk, moment: Moment, now: int) -> View:
    """Reads the log as far as the moment needs."""
    if moment.is_now:
        walk.read_all()
        walk.replayer.state.tick(now)
        return View(walk.replayer.state, now)
    past = Past(walk, moment)
    past.read()
    _warn_of_limits(walk, past)
    return View(past.replayer.state, past.at, past.uncertain)


def _warn_of_limits(walk: Walk, past: Past) -> None:
    if past.before_log:
        warn(f"{walk.directory}: the log begins after that moment")
    if past.lost:
        jobs = count(past.lost, "job")
        warn(f"{walk.directory}: not shown: {jobs} deleted since then, without a record left")
    if past.uncertain:
        jobs = count(len(past.uncertain), "job")
        warn(f"{walk.directory}: {jobs} (~) shown in a later state: earlier records were deleted")


def jobs(
    walk: Walk,
    output: Output,
    moment: Moment,
    now: int,
    tubes: Iterable[str],
    states: Iterable[str],
    encoding: str | None,
) -> int:
    """Returns the exit status. now: wall clock, ns."""
    shown = view(walk, moment, now)
    chosen = list(select(shown.state, tubes, states))
    with Bodies(walk.directory) as bodies:
        if output.as_json:
            for job in chosen:
                output.json({**fields(job, shown), **_json_body(job, bodies, encoding, output)})
        else:
            _table(chosen, bodies, output, shown, encoding)
    return walk.report()


def select(state: State, tubes: Iterable[str], states: Iterable[str]) -> Iterator[Job]:
    """The chosen jobs in order of their ids."""
    names = frozenset(tube.encode() for tube in tubes)
    chosen = frozenset(states)
    for id in sorted(state.jobs):
        job = state.jobs[id]
        in_tube = not names or job.tube.name in names
        if in_tube and (not chosen or STATE_NAMES[job.state] in chosen):
            yield job


def fields(job: Job, shown: View) -> dict[str, object]:
    """For JSON, without the body. lsn, segment and offset are those of the latest full record."""
    place = stored(job)
    return {
        "job": job.id,
        "tube": text(job.tube.name),
        **mutable(job),
        **deadline(job.state, job.deadline_at),
        **of_attributes(shown.state.attributes.get(job.id, NO_ATTRIBUTES)),
        "ttr_ns": job.ttr,
        **instant("created_at", job.created_at),
        "lsn": place.lsn,
        "segment": place.segment,
        "offset": place.offset,
        "certain": job.id not in shown.uncertain,
    }


def _json_body(job: Job, bodies: Bodies, encoding: str | None, output: Output) -> dict[str, object]:
    data = bodies.read(job, -1 if output.full else CUT_BYTES)
    return json_body(data, len(job.body), encoding, output.full)


def _table(
    chosen: list[Job], bodies: Bodies, output: Output, shown: View, encoding: str | None
) -> None:
    table = Table(output, [Column(*column) for column in COLUMNS])
    for job in chosen:
        data = bodies.read(job, -1 if output.full else CUT_BYTES + 1)
        body = "(gone)" if data is None else table_body(data, encoding, output.full)
        table.row(*_cells(job, shown, output), body)
    table.end()


def _cells(job: Job, shown: View, output: Output) -> tuple[str, ...]:
    attributes = shown.state.attributes.get(job.id, NO_ATTRIBUTES)
    return (
        str(job.id),
        text(job.tube.name),
        STATE_NAMES[job.state] + ("~" if job.id in shown.uncertain else ""),
        str(job.pri),
        duration(shown.at - job.created_at),
        duration(job.deadline_at - shown.at) if job.state == DELAYED else "",
        duration(job.ttr),
        output.size(len(job.body)),
        ", ".join([said for said in (counts(job), *said_of(attributes)) if said]),
    )


def counts(job: Job) -> str:
    """`R1 B2`: reserves, timeouts, releases (L), buries, kicks. Zeros are left out."""
    counted = ((letter, getattr(job, name)) for letter, name in zip("RTLBK", COUNTERS, strict=True))
    return " ".join(f"{letter}{number}" for letter, number in counted if number)
