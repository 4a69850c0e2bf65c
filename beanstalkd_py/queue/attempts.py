"""Attempts: how often a job is delivered, and what becomes of it afterwards.

A delivery is an attempt. A release, the end of the TTR and a lost connection end one. The number of
attempts is that of the job's reserves. The limit is the job's own, or that of its tube's policy. A
job whose attempts are used up goes to the dead tube of that policy, and is buried if there is none,
or if a full disk has no space for the move.

Each end of an attempt of a job with a limit has a record, also that by a lost connection. So after
a kill the number is at most one too small: the job was delivered then.

Only jobs of guarded tubes can have a limit. For all others see the base class.
"""

from beanstalkd_py.queue.attributes import ATTEMPTS
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import BURIED, READY, Job
from beanstalkd_py.queue.outcome import DONE, NO_HEADROOM, Outcome
from beanstalkd_py.queue.policy import NO_POLICY, Policy
from beanstalkd_py.queue.rules import Rules
from beanstalkd_py.queue.state import State


class Attempts(Rules):
    def set_policy(self, name: bytes, policy: Policy) -> Outcome:
        """Sets the policy of the tube of this name, which need not exist. DONE or NO_HEADROOM."""
        if self.journal is not None and not self.journal.policy(name, policy):
            return NO_HEADROOM
        apply_policy(self, name, policy)
        return DONE

    def most_attempts(self, job: Job) -> int:
        """0: any number."""
        attributes = self.attributes.get(job.id)
        if attributes is not None and attributes.attempts:
            return attributes.attempts
        policy = job.tube.policy
        return policy.max_attempts if isinstance(policy, Policy) else 0

    def is_used_up(self, job: Job) -> bool:
        return 0 < self.most_attempts(job) <= job.reserves

    def give_up(self, job: Job, now: int, pri: int, counters: Counters) -> Outcome:
        """The job's attempts are used up. Returns DONE; NO_HEADROOM if nothing has changed."""
        old = job.tube
        if self.dead_tube(old) and self.move_to_dead_tube(job, now, pri, counters, ATTEMPTS):
            self.remove_if_unused(old)
            return DONE
        reserves, timeouts, releases, buries, kicks = counters
        buried = (reserves, timeouts, releases, buries + 1, kicks)
        if self.journal is not None and not self.journal.change(
            job, BURIED, pri, job.delay, self.next_bury, buried
        ):
            return NO_HEADROOM
        self.apply_change(job, BURIED, pri, job.delay, self.next_bury, buried)
        self.offer(old, now)
        return DONE

    def time_out(self, job: Job, now: int) -> None:
        if not job.tube.guarded or not self.is_used_up(job):
            super().time_out(job, now)
            return
        self.timeouts += 1
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts + 1, releases, buries, kicks)
        self._end(job, now, counters)

    def lose(self, job: Job, now: int) -> None:
        if not job.tube.guarded or not self.most_attempts(job):
            super().lose(job, now)
            return
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries, kicks)
        if self.is_used_up(job):
            self._end(job, now, counters)
            return
        if self.journal is not None:
            self.journal.change(job, READY, job.pri, job.delay, 0, counters)
        self.apply_change(job, READY, job.pri, job.delay, 0, counters)
        self.offer(job.tube, now)

    def _end(self, job: Job, now: int, counters: Counters) -> None:
        """`give_up` where no client waits for a reply: without headroom, the job is buried without
        a record.
        """
        if self.give_up(job, now, job.pri, counters) is NO_HEADROOM:
            self.apply_change(job, BURIED, job.pri, job.delay, self.next_bury, counters)
            self.offer(job.tube, now)


def apply_policy(state: State, name: bytes, policy: Policy) -> None:
    """For commands and for replay."""
    if policy == NO_POLICY:
        state.policies.pop(name, None)
    else:
        state.policies[name] = policy
    tube = state.tubes.get(name)
    if tube is not None:
        state.apply_policy(tube)
