"""Compaction: the oldest segment's live jobs are written again, and then the segment is retired.

Invariant "the disk stays in proportion": the log's files hold at most 2 L + 2 S bytes once
compaction has caught up. (L, S, slack and the marks are explained in `headroom`.)

- A sealed segment without live bytes is retired at once.
- Otherwise compaction runs while the slack is more than L + 2 S, or, on a full disk, while headroom
  is near `Headroom.low`.
- In both cases compaction runs only if it has enough to gain: the dead bytes of sealed segments
  (`Usage.dead`) must be more than (S + L)/8 or, on a full disk, (S + L)/16. Dead bytes come from
  clients only. Compaction itself brings them down to zero in one pass over all segments. So it
  always comes to rest, and it never writes more than 16 bytes to gain one.
- It works in small steps at the end of iterations, so that clients do not wait. If a command on a
  full disk finds too little headroom, this command waits for as many steps as it needs.
"""

from collections.abc import Callable

from beanstalkd_py.binlog.headroom import Headroom
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.records import encode_job, encode_pause
from beanstalkd_py.binlog.usage import SegmentUsage, Usage, full_bytes
from beanstalkd_py.queue.model import Job
from beanstalkd_py.queue.state import State

STEP_BYTES = 64 * 1024  # rewritten per iteration: about 1 ms for jobs of 100 bytes
# Bytes rewritten for each byte that clients append. When the files are as large as the invariant
# allows, a quarter of the oldest segment is dead.
GROWTH_SHARE = 4
# An iteration rewrites an eighth of what is due for clients' appends. Without that, four jobs of
# 60 000 bytes would be followed by 10 ms of compaction in one piece.
SPREAD = 8
DEAD_SHARE = 50  # compact_all leaves a fiftieth of the bytes dead
WHOLE = 1 << 62  # a step without a limit
LOOK_BYTES = 16  # cost of looking at an id, in bytes rewritten


class Compactor:
    """Knows what is to be compacted, and does it."""

    def __init__(self, state: State, log: Log, usage: Usage, headroom: Headroom) -> None:
        self.state = state
        self.log = log
        self.usage = usage
        self.headroom = headroom
        self.migrated = 0  # records that compaction wrote
        self.more = False  # there is work for the next iteration
        self.offset = 0  # wall clock minus monotonic clock, ns
        self._cursor = 0  # how far the oldest segment's ids are done
        self._due = 0  # bytes to rewrite for what clients have appended
        # On a full disk: compaction did not make the headroom that a command needed; `retry` clears
        # it.
        self._spent = False

    # --- whether there is work

    def behind(self) -> bool:
        """Whether compaction has work now."""
        oldest = self.usage.oldest
        if oldest is None:
            return False
        if oldest.live <= 0:
            return True
        return self._is_short_of_headroom(oldest) if self.headroom.is_full else self._is_too_much()

    def _is_too_much(self) -> bool:
        """Whether the files hold more than the invariant allows. S/8 less, because headroom is
        preallocated in steps.
        """
        size = self.headroom.segment_bytes
        kept = self.usage.kept
        slack = self.headroom.count_slack()
        return slack > kept + 2 * size - size // 8 and self.usage.dead > (size + kept) // 8

    def _is_short_of_headroom(self, oldest: SegmentUsage) -> bool:
        size = self.headroom.segment_bytes
        return (
            self.log.headroom < self.headroom.low + size // 2
            and self.usage.dead > (size + self.usage.kept) // 16
            and self._can_rewrite(oldest)
        )

    def _can_rewrite(self, oldest: SegmentUsage) -> bool:
        """Whether there is headroom for what is live in the oldest segment. A step that cannot
        finish would use up headroom for nothing.
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
        assert oldest.live == 0, (
            f"segment {oldest.number}: {oldest.live} live bytes that no job knows of"
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
            limit -= LOOK_BYTES
            if job is not None and job.full_segment is oldest:
                nbytes = full_bytes(job)
                if not self._rewrite(job, nbytes):
                    return False
                limit -= nbytes
            self._cursor += 1
        return True

    def _rewrite(self, job: Job, nbytes: int) -> bool:
        """Writes the job's FULL record again, as the job is now."""
        segment = self.headroom.append(encode_job(job, self.offset))
        if segment is None:
            return False
        self.migrated += 1
        self.usage.full_written(job, segment, nbytes)
        return True

    def _rewrite_pauses(self, oldest: SegmentUsage) -> bool:
        """Writes the pauses again that are not over; the others are forgotten."""
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

    def _retire(self, oldest: SegmentUsage) -> None:
        """Nothing in the segment is live. The log deletes it when what was appended up to now is
        durable. Until then replay takes the later record of each job.
        """
        self.log.retire(oldest.number + 1)
        self.usage.retire(oldest)
        self._cursor = 0
        self.headroom.update_marks()

    # --- at the end of iterations

    def advance(self, appended: int) -> None:
        """A step at the end of an iteration, if there is work. appended: bytes that were appended
        since the last one.

        Compaction writes as fast as clients make the log grow, some iterations later. So it keeps
        up under any load.
        """
        self.more = self.behind() and self._step_for(appended)
        if not self.more:
            self._due = 0

    def _step_for(self, appended: int) -> bool:
        """True if more can be done."""
        before = (self.migrated, self._cursor, len(self.usage.sealed))
        due = self._due + GROWTH_SHARE * appended
        step = STEP_BYTES + due // SPREAD
        self._due = max(due - step, 0)
        self.step(step)
        return before != (self.migrated, self._cursor, len(self.usage.sealed)) and self.behind()

    # --- for a command on a full disk

    def make_headroom(self, floor: int, nbytes: int) -> bool:
        """Compacts until a record of nbytes leaves `floor` bytes of headroom: two passes over the
        log at most. Waits for the disk.
        """
        if self._spent:
            return False
        headroom = self.headroom
        self.log.drain(headroom.wall)  # what is being preallocated may be enough
        for _ in range(2 * len(self.usage.sealed) + 2):
            headroom.update_marks()
            if headroom.above(floor, nbytes):
                return True
            if not self.step(WHOLE):
                break
            self.log.drain(headroom.wall)
        self._spent = not headroom.above(floor, nbytes)
        return not self._spent

    def retry(self) -> None:
        """The disk was full, and may have space again."""
        self._spent = False
        self.more = self.behind()

    # --- while nobody is served

    def catch_up(self) -> None:
        """At the start: compacts until there is no work. Raises LogFailed."""
        headroom = self.headroom
        if self.behind():
            # A deleted segment is kept as headroom only up to the latest target. Without one, what
            # the last run had preallocated for a full disk would be given back.
            target = headroom.put_reserve + headroom.segment_bytes // 2
            self.log.preallocate(min(self.log.unsealed_bytes, target))
        # One pass is enough: the slack that is left then is headroom, and iterations give it back.
        last = self.usage.current.number
        while self._oldest_below(last) and self.behind() and self.step(headroom.segment_bytes):
            self.log.commit(headroom.wall)
            headroom.update_marks()
        # What the last run had preallocated is not known to be zeros yet, so it does not count.
        slack = self.log.headroom + self.usage.sealed_bytes - self.usage.kept
        self.log.preallocate(headroom.target(slack))

    def compact_all(self, progress: Callable[[int, int], None]) -> bool:
        """Compacts until hardly anything is dead, even where the invariant allows more. For
        operators, while nobody is served. False on a full disk. Raises LogFailed.

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
