"""What each segment of the log holds for the queue: live bytes, dead bytes, and the ids in it.

A job's live bytes are those of the record that compaction would write for it, and those of the
latest UPDATE record, if there is one. A tube's live bytes are the PAUSE record of a pause that is
not over. Each record counts with its length field in the frame. All other records in the log are
dead.

Compaction merges the UPDATE record into the record that it writes. So only the records of jobs and
PAUSE records (`kept`) remain after compaction. A job with a NEW record and an UPDATE record becomes
a SHORT record. The SHORT record counts as soon as the UPDATE record is there: it is GROWTH bytes
longer than the NEW record, and the UPDATE record is longer than that. For a job with attributes,
compaction may write fewer bytes than count: a key may have ended without a record of its own.

Compaction finds the jobs of a segment by `SegmentUsage.ids`, and does not read the disk. The ids
take 8 bytes of memory for each record of a job in the segment.
"""

from array import array
from collections.abc import Mapping
from typing import Final

from beanstalkd_py.binlog.records import (
    FULL_STRUCT,
    NEW,
    NEW_STRUCT,
    PAUSE_STRUCT,
    SHORT,
    SHORT_STRUCT,
    UPDATE_STRUCT,
)
from beanstalkd_py.binlog.withrecords import FULL_WITH_STRUCT, names_length
from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.model import Job

LENGTH_FIELD: Final = 4  # bytes per record in a frame
FULL_OVERHEAD: Final = FULL_STRUCT.size + LENGTH_FIELD
WITH_OVERHEAD: Final = FULL_WITH_STRUCT.size + LENGTH_FIELD
SHORT_OVERHEAD: Final = SHORT_STRUCT.size + LENGTH_FIELD
NEW_OVERHEAD: Final = NEW_STRUCT.size + LENGTH_FIELD
GROWTH: Final = SHORT_OVERHEAD - NEW_OVERHEAD
UPDATE_BYTES: Final = UPDATE_STRUCT.size + LENGTH_FIELD
PAUSE_OVERHEAD: Final = PAUSE_STRUCT.size + LENGTH_FIELD
# Bytes that every sealed segment has in addition to its records: its header (1024 bytes) and two
# frame headers (48 bytes each). Compaction cannot save them, because it writes segments too.
SEGMENT_OVERHEAD: Final = 1024 + 2 * 48


class SegmentUsage:
    """One segment: how many of its bytes are live, and which jobs they belong to."""

    __slots__ = ("full", "ids", "live", "nbytes", "new", "number", "short")

    def __init__(self, number: int) -> None:
        self.number = number
        self.live = 0  # bytes
        self.nbytes = 0  # of its file; 0 until it is sealed
        self.ids = array("Q")  # of the jobs whose records were written to it
        self.new = Place(self, NEW_OVERHEAD)
        self.short = Place(self, SHORT_OVERHEAD)
        self.full = Place(self, FULL_OVERHEAD)

    def place(self, kind: int) -> "Place":
        """Of a job with a record of this kind."""
        return self.new if kind == NEW else self.short if kind == SHORT else self.full

    def place_with(self, attributes: Attributes) -> "Place":
        """Of a job with a FULL_WITH record, which has a place of its own."""
        return Place(self, WITH_OVERHEAD + names_length(attributes))


class Place:
    """What `Job.full_segment` refers to: the segment of a job's latest record, and the form of the
    record that compaction will write. The jobs of a segment share three of them, except jobs with
    attributes.
    """

    __slots__ = ("has_grown", "number", "overhead", "segment")

    def __init__(self, segment: SegmentUsage, overhead: int) -> None:
        self.segment = segment
        self.number = segment.number
        self.overhead = overhead  # bytes of the record, without tube name and body
        self.has_grown = overhead > NEW_OVERHEAD

    def kept(self, job: Job) -> int:
        """Bytes of the record that compaction will write for the job."""
        return self.overhead + len(job.tube.name) + len(job.body)


class Usage:
    """The usage of all segments, and sums of it.

    `sealed` holds the segments that are sealed and not retired, oldest first.
    """

    __slots__ = (
        *("active_bytes", "by_number", "current", "grown", "largest", "largest_segment", "live"),
        *("most_ids", "oldest", "pauses", "policies", "runs", "sealed", "sealed_bytes", "updates"),
    )

    def __init__(self) -> None:
        self.by_number: dict[int, SegmentUsage] = {}
        self.current = SegmentUsage(0)  # of the segment that is now written or replayed
        self.live = 0  # bytes, in all segments
        self.updates = 0  # live bytes in UPDATE records
        self.grown = 0  # jobs for which compaction will write a SHORT or FULL record
        self.largest = 0  # bytes of the largest record of a job seen so far
        # tube name -> (segment of its latest PAUSE record, bytes of that record)
        self.pauses: dict[bytes, tuple[SegmentUsage, int]] = {}
        self.policies: dict[bytes, tuple[SegmentUsage, int]] = {}  # the same of POLICY records
        self.runs: dict[bytes, tuple[SegmentUsage, int]] = {}  # of RUN records, by schedule
        self.sealed: dict[int, SegmentUsage] = {}
        self.sealed_bytes = 0  # of the files of all in `sealed`
        self.oldest: SegmentUsage | None = None  # the first of `sealed`
        self.active_bytes = 0  # of the active segment's file
        self.most_ids = 0  # the most ids of a sealed segment so far
        self.largest_segment = 0  # bytes of the largest file among the active and sealed segments

    @property
    def kept(self) -> int:
        """Bytes of live records of jobs and pauses: all that remains after compaction."""
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
        self.most_ids = max(self.most_ids, len(segment.ids))

    def _activate(self, active: int, active_bytes: int) -> None:
        self.of(active)
        self.active_bytes = active_bytes
        self._sealed_changed()

    def retire(self, oldest: SegmentUsage) -> None:
        """The oldest sealed segment holds nothing live and leaves the log."""
        del self.by_number[oldest.number], self.sealed[oldest.number]
        self.sealed_bytes -= oldest.nbytes
        self._sealed_changed()
        # No reference cycles, so that the memory is free now.
        oldest.new = oldest.short = oldest.full = NOWHERE

    def _sealed_changed(self) -> None:
        self.oldest = next(iter(self.sealed.values()), None)
        sizes = [segment.nbytes for segment in self.sealed.values()]
        self.largest_segment = max(self.active_bytes, *sizes) if sizes else self.active_bytes

    # --- records

    def add(self, segment: SegmentUsage, nbytes: int) -> None:
        """Adds nbytes to the live bytes of the segment; nbytes may be negative."""
        segment.live += nbytes
        self.live += nbytes

    def place_of_put(self, segment: SegmentUsage, kind: int) -> Place:
        """A record of this kind was written for a new job."""
        place = segment.place(kind)
        self.grown += place.has_grown
        return place

    def job_written(self, job: Job, place: Place) -> None:
        """A record was written for a job that has one. The old one and its UPDATE are dead."""
        self.forget(job)
        job.full_segment = place
        place.segment.ids.append(job.id)
        self.add(place.segment, place.kept(job))
        self.grown += place.has_grown

    def update_written(self, job: Job, segment: SegmentUsage) -> None:
        """An UPDATE record was written. The job's earlier UPDATE record is dead."""
        place = job.full_segment
        if isinstance(place, Place) and not place.has_grown:
            job.full_segment = place.segment.short
            self.add(place.segment, GROWTH)
            self.grown += 1
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
        else:
            self.updates += UPDATE_BYTES
        job.update_segment = segment
        self.add(segment, UPDATE_BYTES)

    def name_changes(self, job: Job, tube: bytes) -> None:
        """The job is about to move to the tube of this name."""
        if isinstance(job.full_segment, Place):
            self.add(job.full_segment.segment, len(tube) - len(job.tube.name))

    def attributes_change(self, job: Job, attributes: Attributes) -> None:
        """Compaction will write a FULL_WITH record with these attributes, or a shorter record."""
        place = job.full_segment
        if isinstance(place, Place):
            job.full_segment = changed = place.segment.place_with(attributes)
            self.grown += not place.has_grown
            self.add(place.segment, changed.overhead - place.overhead)

    def pause_written(self, tube: bytes, segment: SegmentUsage, pause: int) -> None:
        """A PAUSE record was written. The tube's earlier PAUSE record is dead. A record that ends a
        pause (pause 0) is never live.
        """
        self._written(self.pauses, tube, segment, PAUSE_OVERHEAD + len(tube) if pause else 0)

    def policy_written(self, tube: bytes, segment: SegmentUsage, nbytes: int) -> None:
        """The same of a POLICY record of nbytes; 0 if it ends the policy."""
        self._written(self.policies, tube, segment, nbytes)

    def run_written(self, schedule: bytes, segment: SegmentUsage, nbytes: int) -> None:
        """The same of a RUN record."""
        self._written(self.runs, schedule, segment, nbytes)

    def _written(
        self,
        records: dict[bytes, tuple[SegmentUsage, int]],
        tube: bytes,
        segment: SegmentUsage,
        nbytes: int,
    ) -> None:
        old = records.pop(tube, None)
        if old is not None:
            self.add(old[0], -old[1])
        if nbytes:
            records[tube] = (segment, nbytes)
            self.add(segment, nbytes)

    def forget(self, job: Job) -> None:
        """All records of the job are dead."""
        place = job.full_segment
        if isinstance(place, Place):
            self.add(place.segment, -place.kept(job))
            self.grown -= place.has_grown
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
            self.updates -= UPDATE_BYTES
            job.update_segment = None


NOWHERE: Final = SegmentUsage(0).full  # no job is there
