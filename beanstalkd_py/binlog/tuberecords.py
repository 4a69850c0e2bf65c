"""The part of the journal that writes records about tubes: pauses, policies, and moves of jobs. And
whether there is headroom for the record of a change.
"""

from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.headroom import Headroom
from beanstalkd_py.binlog.records import (
    Move,
    Run,
    TubePolicy,
    deadline_on_disk,
    encode,
    encode_pause,
)
from beanstalkd_py.binlog.refusals import Refusals
from beanstalkd_py.binlog.usage import (
    LENGTH_FIELD,
    WITH_OVERHEAD,
    Place,
    SegmentUsage,
    Usage,
)
from beanstalkd_py.binlog.withrecords import names_length, on_disk
from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import Job, Tube
from beanstalkd_py.queue.policy import NO_POLICY, Policy


class TubeRecords:
    def __init__(
        self, usage: Usage, headroom: Headroom, compactor: Compactor, refusals: Refusals
    ) -> None:
        self.usage = usage
        self.headroom = headroom
        self.compactor = compactor
        self.refusals = refusals
        self.offset = 0  # wall clock minus boot time, ns

    def move(
        self,
        job: Job,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        deadline_at: int,
        counters: Counters,
        attributes: Attributes | None = None,
    ) -> bool:
        """Appends a MOVE or MOVE_WITH record. False when there is no headroom. Raises LogFailed.
        deadline_at: boot time, ns.

        The job grows with the name of its tube and with its attributes, so the disk must have space
        as for a put.
        """
        usage = self.usage
        growth = len(tube) - len(job.tube.name)
        place = job.full_segment
        if attributes is not None and isinstance(place, Place):
            growth += WITH_OVERHEAD + names_length(attributes) - place.overhead
        largest = usage.largest
        if growth > 0:
            if not self.headroom_for_put(growth):
                self.refuse_put(largest)
                return False
            if isinstance(place, Place):
                usage.largest = max(largest, place.kept(job) + growth)
        end_at = deadline_on_disk(state, deadline_at, self.offset)
        stored = None if attributes is None else on_disk(attributes, self.offset)
        record = encode(Move(state, pri, job.id, delay, end_at, *counters, tube, stored))
        segment = self._append_change(record)
        if segment is None:
            return False
        usage.update_written(job, segment)
        if attributes is not None:
            usage.attributes_change(job, attributes)
        usage.name_changes(job, tube)
        return True

    def policy(self, tube: bytes, policy: Policy) -> bool:
        """Appends a POLICY record. False when there is no headroom. Raises LogFailed."""
        record = encode(TubePolicy(tube, policy))
        segment = self._append_change(record)
        if segment is None:
            return False
        nbytes = len(record) + LENGTH_FIELD if policy != NO_POLICY else 0
        self.usage.policy_written(tube, segment, nbytes)
        return True

    def run(self, schedule: bytes, at: int) -> bool:
        """Appends a RUN record. False when there is no headroom. Raises LogFailed."""
        record = encode(Run(schedule, at))
        segment = self._append_change(record)
        if segment is None:
            return False
        self.usage.run_written(schedule, segment, len(record) + LENGTH_FIELD if at else 0)
        return True

    def pause(self, tube: Tube, pause: int, until: int) -> bool:
        """Appends a PAUSE record. False when there is no headroom. Raises LogFailed.

        pause: ns; 0 ends the pause. until: boot time, ns.
        """
        segment = self._append_change(encode_pause(tube.name, pause, until, self.offset))
        if segment is None:
            return False
        self.usage.pause_written(tube.name, segment, pause)
        return True

    def _append_change(self, record: bytes) -> SegmentUsage | None:
        """Appends a record that is not a put. None when there is no headroom."""
        if not self.headroom_for_change(len(record) + LENGTH_FIELD):
            return None
        return self.headroom.append(record)

    def refuse_put(self, largest: int) -> None:
        """largest: `usage.largest` before the put."""
        self.headroom.put_refused(largest)
        self.refusals.add()

    def headroom_for_put(self, nbytes: int) -> bool:
        headroom = self.headroom
        return headroom.slack_for_put(nbytes) and (
            headroom.above(headroom.low, nbytes)
            or self.compactor.make_headroom(headroom.low, nbytes)
        )

    def headroom_for_change(self, nbytes: int) -> bool:
        """For an UPDATE, PAUSE or DELETE record of nbytes: allocates to stay above `low`. If the
        disk is full, the record may use headroom down to `minimum`. Below that, compaction runs at
        once.
        """
        headroom = self.headroom
        return (
            headroom.above(headroom.low, nbytes)
            or headroom.above(headroom.minimum, nbytes)
            or self.compactor.make_headroom(headroom.minimum, nbytes)
        )
