"""What a server holds after a start, read from its queue. The only module of the simulation that
knows the attributes of the queue.

Promises: changes nothing. Instants are wall-clock ns, as they would be on disk.
"""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes
from beanstalkd_py.queue.model import STATE_NAMES, Job
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.queue import Queue

POLICY = b"policy "  # and a tube name: the key of a policy
RUN = b"run "  # and the name of a schedule: the key of its latest run


def _policy(policy: Policy) -> dict[str, object]:
    """Settings other than 0 and b"", by their names in `set-tube`."""
    found = policy._asdict().items()
    return {name.replace("_", "-"): value for name, value in found if value}


class JobContents(NamedTuple):
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
    attributes: Attributes = NO_ATTRIBUTES


class Contents:
    """Everything that a restart brings back. offset: wall clock minus the server's clock, ns. now:
    of the start, on the server's clock.
    """

    def __init__(self, queue: Queue, offset: int, now: int) -> None:
        self.wall = now + offset
        self.jobs = {
            job.id: _job(job, queue.attributes.get(job.id, NO_ATTRIBUTES), offset)
            for job in queue.jobs.values()
        }
        self.pauses = {
            tube.name: (tube.pause, tube.paused_until + offset)
            for tube in queue.tube_list
            if tube.paused_until
        }
        self.buried = {tube.name: list(tube.buried) for tube in queue.tube_list if tube.buried}
        self.listed = [tube.name for tube in queue.tube_list]
        self.made = [tube.name for tube in sorted(queue.tube_list, key=lambda tube: tube.order)]
        self.next_id = queue.next_id
        self.runs = {RUN + name: at for name, at in queue.runs.items()}
        self.policies = {
            POLICY + name: _policy(policy)
            for name, policy in queue.policies.items()
            if isinstance(policy, Policy)
        }


def _job(job: Job, attributes: Attributes, offset: int) -> JobContents:
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
        moved_by(attributes, offset),
    )


def moved_by(attributes: Attributes, shift: int) -> Attributes:
    """On a clock that is so far ahead, ns."""
    if not attributes.expires_at:
        return attributes
    return attributes._replace(expires_at=attributes.expires_at + shift)
