"""The part of replay that applies records about tubes: pauses, policies, and moves of jobs. And the
times of records in memory.
"""

from beanstalkd_py.binlog.records import Pause, Run
from beanstalkd_py.binlog.usage import SegmentUsage, Usage
from beanstalkd_py.binlog.withrecords import in_memory
from beanstalkd_py.queue.attempts import apply_policy
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, Job
from beanstalkd_py.queue.moved import apply_move
from beanstalkd_py.queue.policy import NO_POLICY, Policy
from beanstalkd_py.queue.runs import apply_run
from beanstalkd_py.queue.state import State


class TubeReplay:
    """Arguments as those of `Replayer`."""

    def __init__(self, state: State, usage: Usage, offset: int, now: int) -> None:
        self.state = state
        self.usage = usage
        self.offset = offset
        self.now = now

    def _move(
        self, job: Job, tube: bytes, deadline_at: int, attributes: Attributes | None = None
    ) -> None:
        """attributes: as in the record; None: a MOVE record."""
        if attributes is not None:
            self.usage.attributes_change(job, attributes)
            attributes = in_memory(attributes, self.offset) or NO_ATTRIBUTES
        self.usage.name_changes(job, tube)
        apply_move(self.state, job, tube, deadline_at, attributes)

    def _pause(self, pause: Pause, segment: SegmentUsage) -> None:
        tube = self.state.tube(pause.tube)
        tube.kept = bool(pause.pause) or tube is self.state.default
        # In memory 0 means no pause. So a pause that ends at 0 ends at -1: both are in the past.
        until = min(pause.until - self.offset, self.now + pause.pause) or -1
        self.state.apply_pause(tube, pause.pause, until if pause.pause else 0)
        self.usage.pause_written(pause.tube, segment, pause.pause)

    def _run(self, run: Run, segment: SegmentUsage, nbytes: int) -> None:
        apply_run(self.state, run.schedule, run.at)
        self.usage.run_written(run.schedule, segment, nbytes if run.at else 0)

    def _policy(self, name: bytes, policy: Policy, segment: SegmentUsage, nbytes: int) -> None:
        apply_policy(self.state, name, policy)
        self.usage.policy_written(name, segment, nbytes if policy != NO_POLICY else 0)

    def _in_memory(self, state: int, delay: int, deadline_at: int) -> tuple[int, int]:
        """State and deadline in memory, from those on disk."""
        if state == DELAYED:
            return state, min(deadline_at - self.offset, self.now + delay)
        if state == BURIED:
            return state, deadline_at
        return READY, 0
