"""What each segment of the log holds for the queue: the books that compaction is decided by.

A job's live bytes are its latest FULL record and the latest UPDATE behind that, each with its
length field in the frame. All else in the log is dead. Compaction merges the UPDATE into the FULL:
what no compaction gives back are the FULL records alone (`kept`). `SegmentUsage.ids` has 8 bytes for
each FULL in the segment, so that compaction finds its jobs without reading the disk.
"""

from array import array

from beanstalkd_py.binlog.records import FULL_STRUCT, PAUSE_STRUCT, UPDATE_STRUCT
from beanstalkd_py.queue.model import Job

LENGTH_FIELD = 4  # bytes per record in a frame
FULL_OVERHEAD = FULL_STRUCT.size + LENGTH_FIELD
UPDATE_BYTES = UPDATE_STRUCT.size + LENGTH_FIELD
PAUSE_OVERHEAD = PAUSE_STRUCT.size + LENGTH_FIELD


class SegmentUsage:
    """One segment: how much of it is live, and whose."""

    __slots__ = ("ids", "live", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.live = 0  # bytes
        self.ids = array("Q")  # of the jobs whose FULL records were written to it


class Usage:
    """All segments' accounts, oldest first, and the sum of what is live."""

    __slots__ = ("by_number", "current", "largest", "live", "updates")

    def __init__(self) -> None:
        self.by_number: dict[int, SegmentUsage] = {}
        self.current = SegmentUsage(0)
        self.live = 0  # bytes, over all segments
        self.updates = 0  # bytes of them in UPDATE records
        self.largest = 0  # bytes of the largest FULL record seen so far

    @property
    def kept(self) -> int:
        """Bytes that the jobs take when all that can be given back was given back."""
        return self.live - self.updates

    def of(self, number: int) -> SegmentUsage:
        """The account of the segment that is written (or replayed) at the moment: the same one
        again and again.
        """
        if number != self.current.number:
            self.current = self.at(number)
        return self.current

    def at(self, number: int) -> SegmentUsage:
        account = self.by_number.get(number)
        if account is None:
            account = self.by_number[number] = SegmentUsage(number)
        return account

    def close(self, account: SegmentUsage) -> None:
        """The segment is given up."""
        del self.by_number[account.number]

    def add(self, account: SegmentUsage, nbytes: int) -> None:
        account.live += nbytes
        self.live += nbytes

    def full_written(self, job: Job, account: SegmentUsage, full_bytes: int) -> None:
        """A FULL record of a job that has one already: the old one and its update are dead."""
        self.forget(job, full_bytes)
        job.full_segment = account
        account.ids.append(job.id)
        self.add(account, full_bytes)

    def update_written(self, job: Job, account: SegmentUsage) -> None:
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
        else:
            self.updates += UPDATE_BYTES
        job.update_segment = account
        self.add(account, UPDATE_BYTES)

    def forget(self, job: Job, full_bytes: int) -> None:
        """All records of the job are dead."""
        if isinstance(job.full_segment, SegmentUsage):
            self.add(job.full_segment, -full_bytes)
        if isinstance(job.update_segment, SegmentUsage):
            self.add(job.update_segment, -UPDATE_BYTES)
            self.updates -= UPDATE_BYTES
            job.update_segment = None


def full_bytes(job: Job) -> int:
    """What the job's FULL record takes in a frame."""
    return FULL_OVERHEAD + len(job.tube.name) + len(job.body)
