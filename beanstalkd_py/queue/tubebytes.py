"""The bytes of all bodies of a tube, for its `max-bytes`. Only tubes with this setting count them.

What the tube has when the counting begins is found in slices, by ascending block of the job table.
A job that comes or goes counts if its block was looked at already.
"""

from bisect import bisect_right
from typing import Final

from beanstalkd_py.queue.jobtable import BLOCK_BITS, JobTable
from beanstalkd_py.queue.model import Job, Tube

SLICE_JOBS: Final = 4096  # that a slice looks at, in about 0.3 ms
_ALL: Final = 1 << 64  # above the number of any block


class TubeBytes:
    __slots__ = ("_jobs", "_seen", "_tube", "nbytes")

    def __init__(self, tube: Tube, jobs: JobTable[Job]) -> None:
        self.nbytes = 0
        self._tube = tube
        self._jobs = jobs
        self._seen = -1 if tube.jobs else _ALL  # the last block that was looked at

    def count(self) -> bool:
        """Looks at the next slice. True if all jobs are counted."""
        seen = 0
        if self._seen < _ALL:
            numbers = self._jobs.numbers()
            for number in numbers[bisect_right(numbers, self._seen) :]:
                jobs = self._jobs.block(number)
                self.nbytes += sum(len(job.body) for job in jobs if job.tube is self._tube)
                self._seen = number
                seen += len(jobs)
                if seen >= SLICE_JOBS:
                    return False
            self._seen = _ALL
        return True

    def add(self, job: Job) -> None:
        if job.id >> BLOCK_BITS <= self._seen:
            self.nbytes += len(job.body)

    def discard(self, job: Job) -> None:
        if job.id >> BLOCK_BITS <= self._seen:
            self.nbytes -= len(job.body)
