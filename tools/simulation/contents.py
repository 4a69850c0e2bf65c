"""What a server holds, read out of its engine: the one place here that knows how the engine keeps
it.

May know: the engine's attributes. Promises: changes nothing. Instants are wall-clock ns, as they
would be on disk.
"""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.queue.engine import Engine
from beanstalkd_py.queue.model import STATE_NAMES, Job


class JobContents(NamedTuple):
    """A job as a server has it."""

    tube: bytes
    body: bytes
    state: str
    pri: int
    delay: int  # ns
    ttr: int  # ns
    created_at: int
    deadline_at: int  # of a delayed job, else 0
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int


class Contents:
    """All that a restart brings back. offset: wall clock minus the engine's clock, ns."""

    def __init__(self, engine: Engine, offset: int) -> None:
        self.jobs = {job.id: _found(job, offset) for job in engine.jobs.values()}
        self.pauses = {
            tube.name: (tube.pause, tube.paused_until + offset)
            for tube in engine.tube_list
            if tube.paused_until
        }
        self.buried = {tube.name: list(tube.buried) for tube in engine.tube_list if tube.buried}
        self.listed = [tube.name for tube in engine.tube_list]
        self.made = [tube.name for tube in sorted(engine.tube_list, key=lambda tube: tube.order)]
        self.next_id = engine.next_id


def _found(job: Job, offset: int) -> JobContents:
    return JobContents(
        job.tube.name,
        bytes(job.body),
        STATE_NAMES[job.state],
        job.pri,
        job.delay,
        job.ttr,
        job.created_at + offset,
        job.deadline_at + offset if STATE_NAMES[job.state] == "delayed" else 0,
        job.reserves,
        job.timeouts,
        job.releases,
        job.buries,
        job.kicks,
    )
