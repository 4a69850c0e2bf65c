"""What each segment of the log holds for the queue: live bytes, dead bytes, and the ids in it.

A job's live bytes are its latest FULL record and the latest UPDATE record after that. A tube's live
bytes are the PAUSE record of a pause that is not over. Each record counts with its length field in
the frame. All other records in the log are dead.

Compaction merges the UPDATE record into the FULL record that it writes. So only FULL and PAUSE
records (`kept`) remain after compaction.

Compaction finds the jobs of a segment by `SegmentUsage.ids`, and does not read the disk. The ids
take 8 bytes of memory for each FULL record in the segment.
"""

from array import array
from collections.abc import Mapping
from typing import Final

from beanstalkd_py.binlog.records import FULL_STRUCT, PAUSE_STRUCT, UPDATE_STRUCT
from beanstalkd_py.queue.model import Job

LENGTH_FIELD: Final = 4  # bytes per record in a frame
FULL_OVERHEAD: Final = FULL_STRUCT.size + LENGTH_FIELD
UPDATE_BYTES: Final = UPDATE_STRUCT.size + LENGTH_FIELD
PAUSE_OVERHEAD: Final = PAUSE_STRUCT.size + LENGTH_FIELD
# Bytes that every sealed segment has in addition to its records: its header (1024 bytes) and two
# frame headers (48 bytes each). Compaction cannot save them, because it writes segments too.
SEGMENT_OVERHEAD: Final = 1024 + 2 * 48


class SegmentUsage:
    """One segment: how many of its bytes are live, and which jobs they belong to."""

    __slots__ = ("ids", "live", "nbytes", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.live = 0  # bytes
        self.nbytes = 0  # of its file; 0 until it is sealed
        self.ids = array("Q")  # of the jobs whose FULL records were written to it


class Usage:
    """The usage of all segments, and sums of it.

    `sealed` holds the segments that are sealed and not retired, oldest first.
    """

    __slots__ = (
        *("active_bytes", "by_number", "current", "largest", "largest_segment", "live", "oldest"),
        *("pauses", "sealed", "sealed_bytes", "updates"),
    )

    def __init__(self) -> None:
        self.by_number: dict[int, SegmentUsage] = {}
        self.current = SegmentUsage(0)  # of the segment that is now written or replayed
        self.live = 0  # bytes, in all segments
        self.updates = 0  # live bytes in UPDATE records
        self.largest = 0  # bytes of the largest FULL record seen so far
        # tube name -> (segment of its latest PAUSE record, bytes of that record)
        self.pauses: dict[bytes, tuple[SegmentUsage, int]] = {}
        self.sealed: dict[int, SegmentUsage] = {}
        self.sealed_bytes = 0  # of the files of all in `sealed`
        self.oldest: SegmentUsage | None = None  # the first of `sealed`
        self.active_bytes = 0  # of the active segment's file
        self.largest_segment = 0  # bytes of the largest file among the active and sealed segments

    @property
    def kept(self) -> int:
        """Bytes of live FULL and PAUSE records: all that remains after compaction."""
        return self.live - self.updates

    @property
    def dead(self) -> int:
        """A lower bound of the bytes that compaction of all sealed segments gives back.

        Headers are not counted, because the segments that compaction writes have headers as well.
        Live records of the active segment are subtracted although they are not in a sealed segment.
        So the figure is too small by less than one segment, and never too large. When no client
        changes anything, compaction brings it down to zero.
        """
        return self.sealed_bytes - len(self.sealed) * SEGMENT_OVERHEAD - self.kept

    # --- segments

    def of(self, number: int) -> SegmentUsage:
        """The usage of the segment that is written (or replayed) now. It becomes `current`."""
        if number != self.current.number:
            self.current = self.at(number)
        return self.current

    def at(self, number: int) -> SegmentUsage:
        """The usage of any segment that is not retired."""
        segment = self.by_number.get(number)
        if segment is None:
            segment = self.by_number[number] = SegmentUsage(number)
        return segment

    def begin(self, sizes: Mapping[int, int], active: int, active_bytes: int) -> None:
        """After replay: the log goes on in segment `active`, whose file has active_bytes.

        sizes: bytes of the sealed segments' files by number, ascending.
        """
        for number, nbytes in sizes.items():
            self._seal(number, nbytes)
        self._activate(active, active_bytes)

    def rotate(self, sizes: Mapping[int, int], active: int, active_bytes: int) -> None:
        """The log began segment `active`: the segments from `current` on are sealed now."""
        for number in range(self.current.number, active):
            self._seal(number, sizes[number])
        self._activate(active, active_bytes)

    def _seal(self, number: int, nbytes: int) -> None:
        segment = self.sealed[number] = self.at(number)
        segment.nbytes = nbytes
        self.sealed_bytes += nbytes

    def _activate(self, active: int, active_bytes: int) -> None:
        self.of(active)
        self.active_bytes = active_bytes
        self._sealed_changed()

    def retire(self, oldest: SegmentUsage) -> None:
        """The oldest sealed segment holds nothing live and leaves the log."""
        del self.by_number[oldest.number], self.sealed[oldest.number]
        self.sealed_bytes -= oldest.nbytes
        self._sealed_changed()

    def _sealed_changed(self) -> None:
        self.oldest = next(iter(self.sealed.values()), None)
        sizes = [segment.nbytes for segment in self.sealed.values()]
        self.largest_segment = max(self.active_bytes, *sizes) if sizes else self.active_bytes

    # --- records

    def add(self, segment: SegmentUsage, nbytes: int) -> None:
        """Adds nbytes to the live bytes of the segment; nbytes may be negative."""
        segment.live += nbytes
        self.live += nbytes

    def full_written(self, job: Job, segment: SegmentUsage, full_bytes: int) -> None:
        """A FULL record was written for a job that has one. The old FULL and UPDATE are dead."""
        self.forget(job, full_bytes)
        job.full_segment = segment
        segment.ids.append(job.id)
        self.add(segment, full_bytes)

    def update_written(self, job: Job, segment: SegmentUsage) -> None:
        """An UPDATE record was written. The job's earlier UPDATE record is dead."""
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
        else:
            self.updates += UPDATE_BYTES
        job.update_segment = segment
        self.add(segment, UPDATE_BYTES)

    def pause_written(self, tube: bytes, segment: SegmentUsage, pause: int) -> None:
        """A PAUSE record was written. The tube's earlier PAUSE record is dead. A record that ends a
        pause (pause 0) is never live.
        """
        old = self.pauses.pop(tube, None)
        if old is not None:
            self.add(old[0], -old[1])
        if pause:
            nbytes = PAUSE_OVERHEAD + len(tube)
            self.pauses[tube] = (segment, nbytes)
            self.add(segment, nbytes)

    def forget(self, job: Job, full_bytes: int) -> None:
        """All records of the job are dead."""
        if isinstance(job.full_segment, SegmentUsage):
            self.add(job.full_segment, -full_bytes)
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
            self.updates -= UPDATE_BYTES
            job.update_segment = None


def full_bytes(job: Job) -> int:
    """Bytes of the job's FULL record in a frame."""
    return FULL_OVERHEAD + len(job.tube.name) + len(job.body)
