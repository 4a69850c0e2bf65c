"""The rules of guarded tubes: unique keys, expiry, and how many jobs may be reserved at once.

`State` calls these methods only for a tube that is guarded. Others cost nothing.
"""

from typing import Final

from beanstalkd_py.queue import moved
from beanstalkd_py.queue.attributes import EXPIRED, Attributes, Marked
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import (
    BURIED,
    DELAYED,
    NO_HISTORY,
    READY,
    RESERVED,
    Job,
    Tube,
)
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.state import SLICE_JOBS
from beanstalkd_py.queue.ticks import YIELD_NS, Ticks

_LIVE: Final = (READY, DELAYED)  # the states in which a job expires


class Rules(Ticks):
    def __init__(self) -> None:
        self._expires = False  # jobs expire now: what this moves expires with the next tick
        super().__init__()

    # --- a reserve

    def taken(self, job: Job, now: int) -> None:
        waits = job.tube.waits
        if (
            waits is not None
            and job.state == READY
            and not job.reserves
            and job.history == NO_HISTORY
        ):
            waits.add(now - job.created_at - job.delay)
        if job.tube.guarded:
            self._end_key(job, now)

    # --- unique keys

    def entered(self, job: Job) -> None:
        attributes = self.attributes.get(job.id)
        if attributes is None:
            return
        if job.history[0]:
            self.drop_key(job)
        marked = job.tube.marked
        if attributes.expires_at and job.state in _LIVE and isinstance(marked, Marked):
            marked.expiries.push(attributes.expires_at, job.id, marked.expiring)
            self._plan(job.tube, attributes.expires_at)

    def _end_key(self, job: Job, now: int) -> None:
        """A key until the first reserve ends with a record. Without headroom for it, the key stays:
        the reserve cannot be refused.
        """
        attributes = self.attributes.get(job.id)
        if attributes is None or not attributes.until_reserve:
            return
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves + 1, timeouts, releases, buries, kicks)
        if self.journal is None or self.journal.change(
            job, RESERVED, job.pri, job.delay, now + job.ttr, counters
        ):
            self.drop_key(job)

    def drop_key(self, job: Job) -> None:
        """A record counts a reserve of the job. So a key until the first reserve is gone."""
        attributes = self.attributes.get(job.id)
        if attributes is not None and attributes.until_reserve:
            self.set_attributes(job, attributes._replace(key=b"", until_reserve=False))

    # --- what may be reserved

    def reservable(self, tube: Tube, now: int) -> Job | None:
        if tube.paused_until:
            return None
        policy = tube.policy
        if isinstance(policy, Policy) and 0 < policy.max_reserved <= tube.reserved_count:
            return None
        if tube.marked is None:
            return tube.ready.first()
        self.expire(tube, now)
        job = tube.ready.first() if tube.ready_count else None
        return None if job is None or self._is_expired(job, now) else job

    # --- expiry

    def _is_expired(self, job: Job, now: int) -> bool:
        attributes = self.attributes.get(job.id)
        return attributes is not None and 0 != attributes.expires_at <= now

    def expire(self, tube: Tube, now: int) -> None:
        marked = tube.marked
        if self._expires or not isinstance(marked, Marked):
            return
        self._expires = True
        left = SLICE_JOBS
        while left and (job := marked.expiries.first()) is not None and self._is_expired(job, now):
            self._expire(job, now)
            left -= 1
        self._expires = False
        if not left:
            self._plan(tube, now + YIELD_NS)

    def _expire(self, job: Job, now: int) -> None:
        """The job becomes a dead letter, or is deleted if its tube has no dead tube."""
        self.expired += 1
        tube = job.tube
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries, kicks)
        if self.dead_tube(tube):
            done = self.move_to_dead_tube(job, now, job.pri, counters, EXPIRED)
        else:
            done = self.journal is None or self.journal.delete(job)
            if done:
                self.remove(job)
        if done:
            self.remove_if_unused(tube)
        else:
            self.apply_change(job, BURIED, job.pri, job.delay, self.next_bury, counters)

    def _plan_tube(self, tube: Tube) -> None:
        super()._plan_tube(tube)
        marked = tube.marked
        if isinstance(marked, Marked) and (job := marked.expiries.first()) is not None:
            self._plan(tube, self.attributes[job.id].expires_at)

    # --- dead letters

    @staticmethod
    def dead_tube(tube: Tube) -> bytes:
        """The dead tube of this tube; b"" if it has none, or is its own."""
        policy = tube.policy
        name = policy.dead_tube if isinstance(policy, Policy) else b""
        return b"" if name == tube.name else name

    def move_to_dead_tube(
        self, job: Job, now: int, pri: int, counters: Counters, reason: int
    ) -> bool:
        """The job becomes a dead letter, which has no key and does not expire. False when the
        journal has no headroom: nothing has changed.
        """
        dead = Attributes(origin=job.tube.name, reason=reason)
        name = self.dead_tube(job.tube)
        return moved.move(self, job, name, now, READY, pri, 0, 0, counters, dead)
