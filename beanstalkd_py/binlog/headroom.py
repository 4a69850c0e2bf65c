"""How much headroom each kind of command must leave, and how much is preallocated.

On a full disk the server must refuse puts and nothing else. So puts are refused early, while there
is still enough headroom for compaction. Compaction needs headroom to rewrite jobs before it can
delete old segments.

Let S be the segment size (or the size of the largest segment). Let L be the bytes of all live
records of jobs and pauses, as compaction will write them (`Usage.kept`). The **slack** is all other
bytes of the log's files: dead bytes, headroom, and live UPDATE records, which compaction merges
into the records of the jobs.

- A put takes its bytes from the slack, because L grows by them.
- The first change of a job with a NEW record takes GROWTH bytes (18) from the slack: compaction
  will write a SHORT record, which is so much longer. Let G be these bytes for all jobs that have
  not grown yet. All of them may grow while the disk is full, so puts leave G bytes more. A change
  moves bytes from G to L, and their sum stays.
- While slack is short, compaction writes no record that is longer than its `Place` says: counters
  above 255 become 255 (see `allows_growth`). So no job takes more than GROWTH bytes, however often
  it is changed.
- A job may also grow by a longer tube name and by attributes, such as those of a dead letter. Such
  a move takes its bytes from the slack like a put. It is refused if it would not leave
  `put_reserve`.
- Any other UPDATE or DELETE record does not reduce the slack: its bytes move from headroom to live
  UPDATE records or dead bytes, and all three are slack.
- Compaction of all sealed segments turns the slack into headroom, except the slack in the active
  segment. A start frees the rest of the active segment, and another program may take it.

From this follow four marks, all in bytes:

- `minimum` = min(L, S) + M + S/16 + (L + G)/32 + two of the largest records. M is what the jobs of
  one segment may grow by: G at most, and GROWTH for twice as many jobs as any segment has had. With
  so much headroom, compaction can rewrite any one segment. S/16 and (L + G)/32 are for headers and
  for the unused ends of the segments that compaction writes. On a full disk only compaction and
  deletes may leave less headroom. So there is always headroom to rewrite the oldest segment, and
  then to delete it.
- `low` = minimum + S/16. A put must leave this much headroom. On a full disk, compaction runs when
  headroom comes near it (see `compactor`).
- `put_reserve` = minimum + S + the larger of (S + L)/8 and G + (S + L + G)/32. A put must leave
  this much slack. So compaction of all segments always gives back (S + L)/8, even if the active
  segment holds S dead bytes. One pass rewrites L bytes. Thus for each byte of an UPDATE on a full
  disk, at most eight bytes are rewritten, however large the log is. Growth may use up a part of
  that. When all jobs have grown, compaction still gives back (S + L)/32.
- `target` = put_reserve + S/4, less the slack that is not headroom. Headroom is preallocated up to
  the target. Headroom above the target is freed.
"""

from collections.abc import Sized
from typing import Final

import beanstalkd_wal as wal

from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.usage import GROWTH, NEW_OVERHEAD, SegmentUsage, Usage

FRAME_BYTES: Final = 48  # a record may need a frame of its own: this is the frame's header
SHORTEST: Final = NEW_OVERHEAD + 1  # bytes of a record of a job, at least
# Bytes. The record of a longer body is appended without a copy of the body.
LONG_BODY: Final = 256 * 1024


class Headroom:
    """The marks, and appending with respect to them."""

    def __init__(self, log: Log, usage: Usage, jobs: Sized, segment_bytes: int, wall: int) -> None:
        """jobs: all jobs. segment_bytes: bytes of a segment. wall: wall clock, ns."""
        self.log = log
        self.usage = usage
        self.jobs = jobs
        self.segment_bytes = segment_bytes
        self.wall = wall  # wall clock at the end of the latest iteration, ns
        self.full = False  # the latest allocation met a full disk; `retry` resets this
        self.recheck = False  # the end of this iteration must check headroom and compaction
        self.changes = log.changes  # `log.changes` when `keep` was called last
        # Set by update_marks:
        self.minimum = self.low = self.put_reserve = 0
        self.slack = 0
        self.put_mark = 0  # a put that leaves this much of log.headroom needs no further check
        self.update_marks()

    # --- the marks

    def update_marks(self, more: int = 0) -> None:
        """Computes the marks for the present live bytes. more: bytes of the record that a put is
        about to append.

        Called at the end of an iteration, when a segment begins, and by puts that would leave less
        headroom than `put_mark`.
        """
        usage = self.usage
        headroom = self.log.headroom
        kept = usage.kept + more
        growth = GROWTH * (len(self.jobs) - usage.grown + (more > 0))
        grown = kept + growth
        size = self._size()
        # The largest record ever seen may be dead.
        largest = min(usage.largest + GROWTH, grown)
        span = max(size, usage.largest_segment, largest)
        most = 2 * max(usage.most_ids, len(usage.current.ids) + 1)
        growing = min(growth, GROWTH * most, GROWTH * span // SHORTEST)
        self.minimum = min(kept, span) + growing + size // 16 + 2 * largest + grown // 32
        self.low = self.minimum + size // 16
        self.put_reserve = (
            self.minimum + span + max((size + kept) // 8, growth + (size + grown) // 32)
        )
        self.slack = self.count_slack() - more
        # Each byte of a put takes one byte of headroom and one byte of slack, and raises `low` and
        # `put_reserve` by less than 8 bytes each (growth is at most 18/29 of a record). So the
        # distance shrinks by less than 9 bytes. Until a ninth of it is used up, headroom is above
        # `low`, and slack is above `put_reserve`.
        distance = min(headroom - self.low, self.slack - self.put_reserve)
        self.put_mark = headroom - distance // 9

    def _size(self) -> int:
        """The size of segments. On a full disk it is that of the largest file there is: a start
        with larger segments than before must not refuse more than puts.
        """
        size = self.segment_bytes
        if not self.is_full:
            return size
        return min(size, max(self.usage.largest_segment, self.log.largest_spare))

    def count_slack(self) -> int:
        """Bytes of the log's files beyond L. A retired segment does not count. After it is deleted,
        the part that becomes headroom counts.
        """
        usage = self.usage
        return self.log.unsealed_bytes + usage.sealed_bytes - usage.kept

    def allows_growth(self, nbytes: int) -> bool:
        """Whether compaction may make a job nbytes longer than its `Place` says."""
        return not self.is_full and self.count_slack() - nbytes >= self.put_reserve

    @property
    def is_full(self) -> bool:
        """Whether the disk is full, as far as is known."""
        return self.full or self.log.disk_full

    @property
    def accepts_puts(self) -> bool:
        """Whether a small put would be accepted, as far as is known."""
        return not self.is_full or self.log.headroom > self.put_mark

    # --- preallocation

    def target(self, slack: int) -> int:
        """The target of preallocation, in bytes of headroom. slack: now or later, in bytes."""
        size = self.segment_bytes
        target = self.log.headroom + self.put_reserve + size // 4 - slack
        return max(target, self.low + size // 8)

    def _target_now(self) -> int:
        """Here retired segments count: below the target the log turns them into headroom."""
        return self.target(self.log.total_bytes - self.usage.kept)

    def keep(self) -> None:
        """Preallocates up to the target, in the background, or frees headroom above the target.

        On a full disk only `retry` asks for more, and nothing is freed that would be asked for
        again when the disk does not count as full: then segments may be larger (`_size`).
        """
        log = self.log
        self.changes = log.changes
        self.update_marks()
        target = self._target_now()
        if log.headroom > target:
            # While little is live, the target rises by 1.2 bytes with each byte of `_size`.
            log.trim(target + 2 * (self.segment_bytes - self._size()))
        elif not log.disk_full:
            log.preallocate(target)

    def retry(self) -> None:
        """The disk was full: asks for headroom again."""
        self.full = False
        self.recheck = True
        self.log.preallocate(self._target_now())

    # --- whether a record may be appended

    def above(self, minimum: int, nbytes: int) -> bool:
        """Whether a record of nbytes leaves `minimum` bytes of headroom, after an allocation if
        necessary.
        """
        left = self.log.headroom - nbytes - FRAME_BYTES
        return left >= minimum or self._allocate(nbytes, minimum)

    def _allocate(self, nbytes: int, minimum: int) -> bool:
        """Either preallocation is late, or the disk is full. Tries to allocate, to find out. If the
        disk is full, no later record tries again until `retry`. A full disk that the preparer met
        may have space: this thread may have begun to allocate a whole segment at that moment.
        """
        if self.full:
            return False
        self.full = not self.log.ensure_headroom(nbytes, minimum)
        if self.full:
            self.update_marks()
        # The mark was computed for less headroom. So the next put computes it again.
        self.put_mark = self.log.headroom
        # Compaction may make the headroom that is missing, or the files may be too large now,
        # although little was appended.
        self.recheck = True
        return not self.full

    def slack_for_put(self, nbytes: int) -> bool:
        """Whether a put with a record of nbytes leaves `put_reserve` bytes of slack."""
        self.usage.largest = max(self.usage.largest, nbytes)
        self.update_marks(nbytes)
        lack = self.put_reserve - self.slack
        return lack <= 0 or self._allocate(nbytes, self.log.headroom - nbytes + lack)

    def put_refused(self, largest: int) -> None:
        """A refused put must not raise the put reserve. Computes the marks again without its
        record. largest: `usage.largest` before the put.
        """
        self.usage.largest = largest
        self.update_marks()
        self.recheck = True  # the end of this iteration reports it to the operator

    # --- appending

    def append(
        self, record: bytes, minimum: int = 0, long_body: bytes = b""
    ) -> SegmentUsage | None:
        """Appends a record and returns the usage of its segment. Raises LogFailed.

        None if no segment has headroom for the record, or if less than `minimum` would be left.
        long_body: the end of the record.
        """
        try:
            number = self._append(record, long_body)
        except wal.LogFull:
            if not self._in_one_piece(len(record) + len(long_body), minimum):
                return None
            number = self._append(record, long_body)
        segment = self.usage.current
        return segment if number == segment.number else self.rotated(number)

    def _append(self, record: bytes, long_body: bytes) -> int:
        return self.log.append_long(record, long_body) if long_body else self.log.append(record)

    def rotated(self, number: int) -> SegmentUsage:
        """The latest record began a new segment. Returns the usage of the new segment."""
        usage = self.usage
        usage.rotate(self.log.segment_sizes, number, self.log.active_bytes)
        self.recheck = True  # compaction may have work: it looks at sealed segments
        self.update_marks()
        return usage.current

    def _in_one_piece(self, nbytes: int, minimum: int) -> bool:
        """Makes headroom for a record of nbytes that no preallocated segment can hold.

        On a full disk there may be enough headroom, but in several segments.
        """
        log = self.log
        if self._allocate(nbytes, minimum):
            return True
        log.drain(self.wall)
        if log.headroom - nbytes < minimum:
            return False
        return log.join(nbytes)
