"""Exporting: the jobs of our log as jobs of the C server's binlog."""

from collections.abc import Iterable

from beanstalkd_py.foreign.cbinlog import CJob
from beanstalkd_py.queue.model import BURIED, DELAYED, RESERVED, Job
from beanstalkd_py.queue.state import State


def c_job(job: Job, offset: int, body: bytes) -> CJob:
    """One of our jobs as a job of the C server. offset: wall clock minus boot time, ns."""
    return CJob(
        job.id, job.tube.name, job.state, job.pri, job.delay, job.ttr, job.created_at + offset,
        job.deadline_at + offset if job.state in (DELAYED, RESERVED) else 0,
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks, body,
    )  # fmt: skip


def in_export_order(state: State) -> Iterable[Job]:
    """All jobs by id, except buried ones. Then the buried jobs in the order of burying: the C
    server restores that order from the order of the records.
    """
    for id in sorted(state.jobs):
        if state.jobs[id].state != BURIED:
            yield state.jobs[id]
    buried = [job for tube in state.tube_list for job in tube.buried.values()]
    yield from sorted(buried, key=lambda job: job.deadline_at)
