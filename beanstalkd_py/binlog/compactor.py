"""Compaction: rewrites the live jobs of the oldest segment, then retires the segment.

Invariant "the disk stays in proportion": the log's files hold at most 2 L + 2 S bytes once
compaction has caught up. (L, S, slack and the marks are explained in `headroom`.)

- A sealed segment without live bytes is retired at once.
- Otherwise compaction runs while the slack is more than L + 2 S, less S/8. On a full disk it runs
  while headroom is less than `Headroom.low` + S/2.
- In both cases compaction runs only if it can gain enough: the dead bytes of sealed segments
  (`Usage.dead`) must be more than (S + L)/8 or, on a full disk, (S + L)/64.
- Only clients make bytes dead. One pass of compaction over all segments brings the dead bytes down
  to zero. So compaction always stops, and it writes at most 64 bytes to gain one.
- Compaction works in small steps at the end of iterations, so that clients do not wait. If a
  command on a full disk finds too little headroom, the command waits for as many steps as it needs.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.binlog.headroom import LONG_BODY, Headroom
from beanstalkd_py.binlog.jobrecord import encode_head, encode_head_with
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.records import FULL, Run, TubePolicy, encode, encode_pause
from beanstalkd_py.binlog.usage import FULL_OVERHEAD, LENGTH_FIELD, Place, SegmentUsage, Usage
from beanstalkd_py.queue.model import Job
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.state import State

STEP_BYTES: Final = 64 * 1024  # rewritten per iteration: about 1 ms for jobs of 100 bytes
# Bytes rewritten for each byte that clients append. Four are enough: when the files are as large as
# the invariant allows, a quarter of the oldest segment is dead.
GROWTH_SHARE: Final = 4
# An iteration rewrites STEP_BYTES and an eighth of the bytes that are due. If it rewrote all of
# them, 10 ms of compaction would follow four jobs of 60 000 bytes.
SPREAD: Final = 8
DEAD_SHARE: Final = 50  # compact_all leaves a fiftieth of the bytes dead
NO_LIMIT: Final = 1 << 62  # for a step
LOOKUP_BYTES: Final = 16  # a lookup of an id takes as long as rewriting so many bytes


class Compactor:
    """Decides whether to compact, and does it in steps."""

    def __init__(self, state: State, log: Log, usage: Usage, headroom: Headroom) -> None:
        self.state = state
        self.log = log
        self.usage = usage
        self.headroom = headroom
        self.migrated = 0  # records that compaction wrote
        self.more = False  # whether the next iteration has work
        self.offset = 0  # wall clock minus boot time, ns
        self._cursor = 0  # index of the next id in the oldest segment's `ids`
        self._due = 0  # bytes still to rewrite because of what clients have appended
        # On a full disk, `make_headroom` failed with so many dead bytes, and at this value of
        # `log.changes`. It is not tried again before one of them changes, or `retry` is called.
        self._spent: tuple[int, int] | None = None

    # --- whether there is work

    def has_work(self) -> bool:
        """Whether compaction has work now."""
        oldest = self.usage.oldest
        if oldest is None:
            return False
        if oldest.live <= 0:
            return True
        return self._is_short_of_headroom(oldest) if self.headroom.is_full else self._is_too_much()

    def _is_too_much(self) -> bool:
        """Whether the files are larger than the invariant allows, less S/8: headroom is
        preallocated in steps, so the files may be that much too large.
        """
        size = self.headroom.segment_bytes
        kept = self.usage.kept
        slack = self.headroom.count_slack()
        return slack > kept + 2 * size - size // 8 and self.usage.dead > (size + kept) // 8

    def _is_short_of_headroom(self, oldest: SegmentUsage) -> bool:
        size = self.headroom.segment_bytes
        return (
            self.log.headroom < self.headroom.low + size // 2
            and self.usage.dead > (size + self.usage.kept) // 64
            and self._can_rewrite(oldest)
        )

    def _can_rewrite(self, oldest: SegmentUsage) -> bool:
        """On a full disk: whether there is headroom for all live bytes of the oldest segment. A
        segment that is only partly rewritten cannot be retired, so its headroom would be wasted.
        """
        return not self.headroom.is_full or self.log.headroom >= oldest.live

    # --- one step

    def step(self, limit: int) -> bool:
        """Rewrites about `limit` bytes of the oldest segment. True when the segment was retired."""
        oldest = self.usage.oldest
        if oldest is None or not self._can_rewrite(oldest):
            return False
        if not self._rewrite_jobs(oldest, limit):
            return False
        if oldest.live > 0 and not self._rewrite_pauses(oldest):
            return False
        if oldest.live > 0 and not self._rewrite_policies(oldest):
            return False
        if oldest.live > 0 and not self._rewrite_runs(oldest):
            return False
        assert oldest.live == 0, (
            f"segment {oldest.number}: {oldest.live} live bytes that belong to no job"
        )
        self._retire(oldest)
        return True

    def _rewrite_jobs(self, oldest: SegmentUsage, limit: int) -> bool:
        """False if jobs are left: the limit was reached, or there is no headroom."""
        jobs = self.state.jobs
        ids = oldest.ids
        while oldest.live > 0 and self._cursor < len(ids):
            if limit <= 0:
                return False
            job = jobs.get(ids[self._cursor])
            limit -= LOOKUP_BYTES
            if job is not None:
                place = job.full_segment
                if isinstance(place, Place) and place.segment is oldest:
                    if not self._rewrite(job, place):
                        return False
                    limit -= place.overhead + len(job.body)
            self._cursor += 1
        return True

    def _rewrite(self, job: Job, place: Place) -> bool:
        """Writes the job's record again, as the job is now. False if there is no headroom, or no
        memory for the record.
        """
        long_body = b""
        is_new = not place.has_grown
        attributes = self.state.attributes.get(job.id)
        try:
            if attributes is None:
                record = encode_head(job, self.offset, is_new)
            else:
                record = encode_head_with(job, attributes, self.offset)
            if record[0] == FULL and place.overhead < FULL_OVERHEAD:
                if self.headroom.allows_growth(FULL_OVERHEAD - place.overhead):
                    nbytes = len(record) + len(job.body) + LENGTH_FIELD
                    self.usage.largest = max(self.usage.largest, nbytes)
                else:
                    record = encode_head(job, self.offset, is_new, is_limited=True)
            if len(job.body) > LONG_BODY:
                long_body = job.body
            else:
                record += job.body
        except MemoryError:
            return False
        segment = self.headroom.append(record, long_body=long_body)
        if segment is None:
            return False
        self.migrated += 1
        self.usage.job_written(
            job,
            segment.place(record[0]) if attributes is None else segment.place_with(attributes),
        )
        return True

    def _rewrite_pauses(self, oldest: SegmentUsage) -> bool:
        """Rewrites the pauses that are not over. False if there is no headroom."""
        usage = self.usage
        for name in [name for name, (at, _) in usage.pauses.items() if at is oldest]:
            tube = self.state.tubes.get(name)
            if tube is None or not tube.paused_until:
                usage.pause_written(name, oldest, 0)
                continue
            record = encode_pause(name, tube.pause, tube.paused_until, self.offset)
            segment = self.headroom.append(record)
            if segment is None:
                return False
            self.migrated += 1
            usage.pause_written(name, segment, tube.pause)
        return True

    def _rewrite_policies(self, oldest: SegmentUsage) -> bool:
        """Rewrites the policies of tubes. False if there is no headroom."""
        usage = self.usage
        for name in [name for name, (at, _) in usage.policies.items() if at is oldest]:
            policy = self.state.policies[name]
            assert isinstance(policy, Policy)
            record = encode(TubePolicy(name, policy))
            segment = self.headroom.append(record)
            if segment is None:
                return False
            self.migrated += 1
            usage.policy_written(name, segment, len(record) + LENGTH_FIELD)
        return True

    def _rewrite_runs(self, oldest: SegmentUsage) -> bool:
        """Rewrites the latest runs of schedules. False if there is no headroom."""
        usage = self.usage
        for name in [name for name, (at, _) in usage.runs.items() if at is oldest]:
            record = encode(Run(name, self.state.runs[name]))
            segment = self.headroom.append(record)
            if segment is None:
                return False
            self.migrated += 1
            usage.run_written(name, segment, len(record) + LENGTH_FIELD)
        return True

    def _retire(self, oldest: SegmentUsage) -> None:
        """Nothing in the segment is live. The log deletes the segment when all records appended so
        far are durable. After a crash before that, replay uses the later record of each job.
        """
        self.log.retire(oldest.number + 1)
        self.usage.retire(oldest)
        self._cursor = 0
        self.headroom.update_marks()

    # --- at the end of iterations

    def advance(self, appended: int) -> None:
        """Takes a step at the end of an iteration, if there is work. appended: bytes that were
        appended since the last call.

        For each byte that clients append, compaction rewrites GROWTH_SHARE bytes within a few
        iterations. So it keeps up under any load.
        """
        self.more = self.has_work() and self._step_for(appended)
        if not self.more:
            self._due = 0

    def _step_for(self, appended: int) -> bool:
        """Takes the step. True if it achieved something and there is work left."""
        before = (self.migrated, self._cursor, len(self.usage.sealed))
        due = self._due + GROWTH_SHARE * appended
        step = STEP_BYTES + due // SPREAD
        self._due = max(due - step, 0)
        self.step(step)
        return before != (self.migrated, self._cursor, len(self.usage.sealed)) and self.has_work()

    # --- for a command on a full disk

    def make_headroom(self, minimum: int, nbytes: int) -> bool:
        """Compacts until a record of nbytes leaves `minimum` bytes of headroom, in at most two
        passes over the log. Waits for the disk.
        """
        if self._is_spent():
            return False
        headroom = self.headroom
        self.log.drain(headroom.wall)  # the preallocation under way may be enough
        for _ in range(2 * len(self.usage.sealed) + 2):
            headroom.update_marks()
            if headroom.above(minimum, nbytes):
                return True
            if not self.step(NO_LIMIT):
                break
            self.log.drain(headroom.wall)
        made = headroom.above(minimum, nbytes)
        self._spent = None if made else (self.usage.dead, self.log.changes)
        return made

    def _is_spent(self) -> bool:
        """Whether `make_headroom` has failed, and there is nothing more to gain since then."""
        if self._spent is None:
            return False
        dead, changes = self._spent
        more = (self.headroom.segment_bytes + self.usage.kept) // 64
        return self.usage.dead <= dead + more and self.log.changes == changes

    def retry(self) -> None:
        """The disk was full, and may have space again."""
        self._spent = None
        self.more = self.has_work()

    # --- while no client is served

    def catch_up(self) -> None:
        """At the start: compacts until there is no work. Raises LogFailed."""
        headroom = self.headroom
        if self.has_work():
            # The log keeps deleted segments as spares only up to the latest target. So a target is
            # set first: otherwise the log would delete the spares that the last run left for a full
            # disk.
            target = headroom.put_reserve + headroom.segment_bytes // 4
            self.log.preallocate(min(self.log.unsealed_bytes, target))
        # One pass is enough. All slack is headroom then, and `Headroom.keep` frees what is too
        # much.
        last = self.usage.current.number
        while self._oldest_below(last) and self.has_work() and self.step(headroom.segment_bytes):
            self.log.commit(headroom.wall)
            headroom.update_marks()
        # Spares of the last run do not count: they must be filled with zeros first.
        slack = self.log.headroom + self.usage.sealed_bytes - self.usage.kept
        self.log.preallocate(headroom.target(slack))

    def compact_all(self, progress: Callable[[int, int], None]) -> bool:
        """Compacts until at most 1/DEAD_SHARE of the sealed bytes are dead, although the invariant
        allows more. For operators, while no client is served. False on a full disk. Raises
        LogFailed.

        progress: called with the bytes that are done, and all bytes.
        """
        usage = self.usage
        last = usage.current.number
        total = usage.sealed_bytes
        while self._oldest_below(last) and (
            usage.sealed_bytes - usage.live > usage.sealed_bytes // DEAD_SHARE
        ):
            if not self.step(self.headroom.segment_bytes) and self.headroom.full:
                return False
            self.log.drain(self.headroom.wall)
            left = sum(old.nbytes for old in usage.sealed.values() if old.number < last)
            progress(total - left, total)
        return True

    def _oldest_below(self, number: int) -> bool:
        oldest = self.usage.oldest
        return oldest is not None and oldest.number < number
