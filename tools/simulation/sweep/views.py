"""What a restart must keep of a queue: each job as the disk should have it, each pause and policy.

May know: the queue's public fields. Promises: two views are equal exactly when no client could
tell the two jobs apart after a restart at a given instant. Instants are wall-clock ns. A reserved
job counts as ready, because its client is gone after a restart. The count of reserves is left out:
it reaches the disk only with the job's next record.
"""

from __future__ import annotations

from typing import NamedTuple

from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, RESERVED, STATE_NAMES, Job, Tube
from beanstalkd_py.queue.state import State

from ..contents import POLICY, moved_by

Key = int | bytes  # a job's id, the name of a paused tube, or POLICY and the name of a tube


class JobView(NamedTuple):
    tube: bytes
    body: bytes
    pri: int
    delay: int
    ttr: int
    created_at: int
    state: int
    at: int  # when a delayed job is ready; the place of a buried job in the order; else 0
    timeouts: int
    releases: int
    buries: int
    kicks: int
    attributes: Attributes

    def after_restart(self, wall: int) -> JobView:
        """As it is after a restart at that instant."""
        return (
            self._replace(state=READY, at=0) if self.state == DELAYED and self.at <= wall else self
        )

    def __str__(self) -> str:
        fields = self._asdict() | {
            "state": STATE_NAMES[self.state],
            "body": f"{self.body[:20]!r} of {len(self.body)} bytes",
        }
        return ", ".join(f"{name} {value}" for name, value in fields.items())


class PauseView(NamedTuple):
    pause: int
    until: int

    def after_restart(self, wall: int) -> PauseView | None:
        return self if self.until > wall else None


class PolicyView(NamedTuple):
    policy: object

    def after_restart(self, wall: int) -> PolicyView:
        return self


View = JobView | PauseView | PolicyView


def view_job(job: Job, attributes: Attributes, offset: int) -> JobView:
    """offset: wall clock minus the queue's clock, ns."""
    state = READY if job.state == RESERVED else job.state
    at = job.deadline_at + offset if state == DELAYED else job.deadline_at if state == BURIED else 0
    return JobView(
        job.tube.name, job.body, job.pri, job.delay, job.ttr, job.created_at + offset,
        state, at, job.timeouts, job.releases, job.buries, job.kicks, moved_by(attributes, offset),
    )  # fmt: skip


def view_pause(tube: Tube, offset: int) -> PauseView:
    return PauseView(tube.pause, tube.paused_until + offset)


def view_all(state: State, offset: int) -> dict[Key, View]:
    views: dict[Key, View] = {
        id: view_job(job, state.attributes.get(id, NO_ATTRIBUTES), offset)
        for id, job in state.jobs.items()
    }
    for name, tube in state.tubes.items():
        if tube.paused_until:
            views[name] = view_pause(tube, offset)
    for name, policy in state.policies.items():
        views[POLICY + name] = PolicyView(policy)
    return views
