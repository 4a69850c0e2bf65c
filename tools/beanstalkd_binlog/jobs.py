"""`jobs`: the jobs as they would be after replay, now or at an earlier moment."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from beanstalkd_binlog.fields import COUNTERS, changing, deadline, instant
from beanstalkd_binlog.light import Bodies, stored
from beanstalkd_binlog.moment import Moment, Past
from beanstalkd_binlog.output import Column, Output, Table
from beanstalkd_binlog.status import complain
from beanstalkd_binlog.text import CUT_BYTES, count, json_body, row_body, text
from beanstalkd_binlog.times import duration
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.queue.model import DELAYED, STATE_NAMES, Job
from beanstalkd_py.queue.state import State

COLUMNS = (
    ("job", True), ("tube", False), ("state", False), ("pri", True), ("age", True), ("ready in", True), ("ttr", True), ("size", True),
    ("counts", False), ("body", False),
)  # fmt: skip


class View:
    """Jobs at a moment, to be shown."""

    def __init__(self, state: State, at: int, uncertain: Container[int] = ()) -> None:
        self.state = state
        self.at = at
        self.uncertain = uncertain  # ids of those that are shown as they were later


def view(walk: Walk, moment: Moment, now: int) -> View:
    """Reads what is to be read for it."""
    if moment.is_now:
        walk.finish()
        walk.replayer.state.tick(now)
        return View(walk.replayer.state, now)
    past = Past(walk, moment)
    past.read()
    _say_what_is_lost(walk, past)
    return View(past.replayer.state, past.at, past.uncertain)


def _say_what_is_lost(walk: Walk, past: Past) -> None:
    if past.before_log:
        complain(f"{walk.directory}: that is before the log begins")
    if past.lost:
        complain(
            f"{walk.directory}: {count(past.lost, 'more job')} existed then; deleted since, the records dropped"
        )
    if past.uncertain:
        complain(
            f"{walk.directory}: {count(len(past.uncertain), 'job')} (~) shown as of later: what changed in between was dropped"
        )


def jobs(
    walk: Walk,
    output: Output,
    moment: Moment,
    now: int,
    tubes: Iterable[str],
    states: Iterable[str],
    encoding: str | None,
) -> int:
    """Returns the exit status."""
    shown = view(walk, moment, now)
    wanted = list(select(shown.state, tubes, states))
    with Bodies(walk.directory) as bodies:
        if output.as_json:
            for job in wanted:
                output.json({**fields(job, shown), **_json_body(job, bodies, encoding, output)})
        else:
            _table(wanted, bodies, output, shown, encoding)
    return walk.report()


def select(state: State, tubes: Iterable[str], states: Iterable[str]) -> Iterator[Job]:
    """By id."""
    names = frozenset(tube.encode() for tube in tubes)
    chosen = frozenset(states)
    for id in sorted(state.jobs):
        job = state.jobs[id]
        if (not names or job.tube.name in names) and (
            not chosen or STATE_NAMES[job.state] in chosen
        ):
            yield job


def fields(job: Job, shown: View) -> dict[str, object]:
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
        "certain": job.id not in shown.uncertain,
    }


def _json_body(job: Job, bodies: Bodies, encoding: str | None, output: Output) -> dict[str, object]:
    data = bodies.read(job, -1 if output.full else CUT_BYTES)
    return json_body(data, len(job.body), encoding, output.full)


def _table(
    wanted: list[Job], bodies: Bodies, output: Output, shown: View, encoding: str | None
) -> None:
    table = Table(output, [Column(*column) for column in COLUMNS])
    for job in wanted:
        data = bodies.read(job, -1 if output.full else CUT_BYTES + 1)
        table.row(
            str(job.id), text(job.tube.name), _state(job, shown), str(job.pri), duration(shown.at - job.created_at),
            duration(job.deadline_at - shown.at) if job.state == DELAYED else "", duration(job.ttr),
            output.size(len(job.body)), counts(job), "(gone)" if data is None else row_body(data, encoding, output.full),
        )  # fmt: skip
    table.end()


def _state(job: Job, shown: View) -> str:
    return STATE_NAMES[job.state] + ("~" if job.id in shown.uncertain else "")


def counts(job: Job) -> str:
    """`R1 B2`: reserves, timeouts, releases (L), buries, kicks; those that are none are left out."""
    return " ".join(
        f"{letter}{getattr(job, name)}"
        for letter, name in zip("RTLBK", COUNTERS, strict=True)
        if getattr(job, name)
    )
