"""How much headroom each kind of command must leave, and how much is preallocated.

A full disk must refuse puts and nothing else. So puts stop early, while there is still enough
headroom for compaction to write jobs again, and with that to delete old segments.

Let S be the segment size (or the size of the largest segment) and L the bytes of all FULL records
of jobs that exist (`Usage.kept`). Let the **slack** be all other bytes of the log's files: dead
bytes, UPDATE records, which compaction merges, and headroom.

- A put takes its bytes from the slack, because L grows by them.
- A change or a delete does not take from the slack: its record takes headroom and is dead, or will
  be, so the bytes move from one part of the slack to another.
- Compaction of all sealed segments turns the slack into headroom, except for what the active
  segment holds.

Four marks follow, all in bytes:

- `minimum` = min(L, S) + S/16 + L/32 + two of the largest records. Compaction can rewrite any one
  segment in so much headroom. S/16 and L/32 are for headers and for the unused ends of the segments
  that it writes. On a full disk only compaction may leave less. So there is always headroom to
  rewrite the oldest segment and to delete it after that.
- `low` = minimum + S/16. Below that, compaction runs on a full disk.
- `put_reserve` = minimum + S + (S + L)/8. A put must leave this much slack. So compaction of all
  segments always gives back (S + L)/8, even if the active segment holds S dead bytes. It writes L
  bytes for that. Thus an update on a full disk costs at most eight times its length of rewriting,
  however large the log is.
- `target` = put_reserve + S/2, less the slack that is not headroom. Headroom is preallocated up to
  the target, and given back beyond it.
"""

import beanstalkd_wal as wal

from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.usage import SegmentUsage, Usage

FRAME_BYTES = 48  # what a record may cost beyond its own bytes: the header of a frame of its own


class Headroom:
    """The marks, and appending with respect to them."""

    def __init__(self, log: Log, usage: Usage, segment_bytes: int, wall: int) -> None:
        """segment_bytes: bytes of a segment. wall: wall clock, ns."""
        self.log = log
        self.usage = usage
        self.segment_bytes = segment_bytes
        self.wall = wall  # wall clock at the end of the latest iteration, ns
        self.full = False  # the latest allocation met a full disk; `retry` clears it
        self.recheck = False  # the next end of an iteration must look at everything
        self.changes = log.changes  # of the log, when `keep` was called last
        # Set by update_marks:
        self.minimum = self.low = self.put_reserve = 0
        self.slack = 0
        self.put_mark = 0  # puts that leave so much of log.headroom need no further check
        self.update_marks()

    # --- the marks

    def update_marks(self, more: int = 0) -> None:
        """Computes the marks for the live bytes of now. more: bytes of a FULL record to come.

        Called at the end of an iteration, when a segment begins, and by puts beyond `put_mark`.
        """
        usage = self.usage
        headroom = self.log.headroom
        kept = usage.kept + more
        size = self.segment_bytes
        largest = min(usage.largest, kept)  # the largest record of all times may be dead
        span = max(size, usage.largest_segment, largest)
        self.minimum = min(kept, span) + size // 16 + 2 * largest + kept // 32
        self.low = self.minimum + size // 16
        self.put_reserve = self.minimum + span + (size + kept) // 8
        self.slack = self.count_slack() - more
        # Each byte of a put takes one byte of headroom and one of slack. It raises `low` and
        # `put_reserve` by less than 5 bytes. So until a sixth of the distance is used up, headroom
        # is above `low` and slack above `put_reserve`.
        distance = min(headroom - self.low, self.slack - self.put_reserve)
        self.put_mark = headroom - distance // 6

    def count_slack(self) -> int:
        """Bytes of the log's files beyond L. Retired segments do not count until they are deleted:
        only what becomes headroom of them does, then.
        """
        usage = self.usage
        return self.log.unsealed_bytes + usage.sealed_bytes - usage.kept

    @property
    def is_full(self) -> bool:
        """Whether the disk is full, as far as is known."""
        return self.full or self.log.disk_full

    # --- preallocation

    def target(self, slack: int) -> int:
        """Bytes of headroom to preallocate, if the slack is (or will be) so large, in bytes."""
        size = self.segment_bytes
        target = self.log.headroom + self.put_reserve + size // 2 - slack
        return max(target, self.low + size // 8)

    def _target_now(self) -> int:
        """Here retired segments count: they become headroom when it is short of the target."""
        return self.target(self.log.total_bytes - self.usage.kept)

    def keep(self) -> None:
        """Preallocates up to the target, in the background, and gives back what is beyond it.

        On a full disk it does not ask for more: `retry` does.
        """
        log = self.log
        self.changes = log.changes
        self.slack = self.count_slack()
        target = self._target_now()
        if log.headroom > target:
            log.trim(target)
        elif not log.disk_full:
            log.preallocate(target)

    def retry(self) -> None:
        """The disk was full: asks for headroom again."""
        self.full = False
        self.log.preallocate(self._target_now())

    # --- whether a record may be appended

    def above(self, floor: int, nbytes: int) -> bool:
        """Whether a record of nbytes leaves `floor` bytes of headroom, after an allocation if
        necessary.
        """
        return self.log.headroom - nbytes - FRAME_BYTES >= floor or self._allocate(nbytes, floor)

    def _allocate(self, nbytes: int, floor: int) -> bool:
        """Preallocation is late, or the disk is full. An allocation shows which of the two; it is
        not tried again for each record.
        """
        if self.is_full:
            return False
        self.full = not self.log.ensure_headroom(nbytes, floor)
        # Compaction may give what is lacking, although nothing was appended.
        self.recheck = self.recheck or self.full
        return not self.full

    def slack_for_put(self, nbytes: int) -> bool:
        """Whether a put with a FULL record of nbytes leaves the put reserve."""
        self.usage.largest = max(self.usage.largest, nbytes)
        self.update_marks(nbytes)
        lack = self.put_reserve - self.slack
        return lack <= 0 or self._allocate(nbytes, self.log.headroom - nbytes + lack)

    def put_refused(self, largest: int) -> None:
        """A refused put must not raise the put reserve by the length of its record: the marks go
        back to what they were with the largest record before it.
        """
        self.usage.largest = largest
        self.update_marks()

    # --- appending

    def append(self, record: bytes, floor: int = 0) -> SegmentUsage | None:
        """Appends a record and returns the usage of its segment; None if there is no headroom for
        it in one piece that leaves `floor` bytes. Raises LogFailed.
        """
        try:
            number = self.log.append(record)
        except wal.LogFull:
            if not self._in_one_piece(len(record), floor):
                return None
            number = self.log.append(record)
        segment = self.usage.current
        return segment if number == segment.number else self.rotated(number)

    def rotated(self, number: int) -> SegmentUsage:
        """The latest record began a new segment. Returns the usage of that."""
        usage = self.usage
        usage.rotate(self.log.segment_sizes, number, self.log.active_bytes)
        self.recheck = True  # what is sealed counts for compaction
        self.update_marks()
        return usage.current

    def _in_one_piece(self, nbytes: int, floor: int) -> bool:
        """No preallocated segment can hold a record of nbytes. On a full disk there may be enough
        headroom, but in pieces. Then gives back all pieces and allocates as much in one piece.
        """
        log = self.log
        if self._allocate(nbytes, floor):
            return True
        log.drain(self.wall)
        if log.headroom - nbytes < floor:
            return False
        log.trim(0)
        made = log.ensure_headroom(nbytes)
        log.preallocate(self._target_now())
        return made
