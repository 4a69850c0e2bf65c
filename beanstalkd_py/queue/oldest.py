"""The oldest ready job: the one with the smallest id, because ids are given in the order of time.

No structure is kept for it, so puts and reserves cost nothing more. The search looks at the first
entry of each FIFO bucket and at all entries of the heap, if these are few. Otherwise it goes
through the job table from its first block on, in slices, up to the first ready job. Blocks without
jobs do not exist there, so it passes only jobs that are older and not ready, or in other tubes.
"""

from itertools import islice
from typing import Final

from beanstalkd_py.queue import listing
from beanstalkd_py.queue.lazyheap import ID_MASK
from beanstalkd_py.queue.model import READY, Job, Tube
from beanstalkd_py.queue.state import State

_HEADS: Final = 8  # entries of a bucket; if all of them are stale, the table is searched


class Oldest:
    """tube: None for the oldest in all tubes. job: the oldest when the search is over; None if no
    job is ready.
    """

    __slots__ = ("_blocks", "_next", "_state", "_tube", "job")

    def __init__(self, state: State, tube: Tube | None) -> None:
        self._state = state
        self._tube = tube
        self.job: Job | None = None
        self._next = 0
        self._blocks: list[int] = []
        is_ready = state.ready_count if tube is None else tube.ready_count
        if is_ready and not (tube is not None and self._is_in_few(tube)):
            self._blocks = state.jobs.numbers()

    def _is_in_few(self, tube: Tube) -> bool:
        """Sets `job`, if the tube has few entries to look at."""
        if len(tube.ready.keys) > listing.FEW_JOBS:
            return False
        ids = [id for key in tube.ready.keys if self._is_wanted(id := key & ID_MASK)]
        for bucket in tube.ready.buckets.values():
            live = [id for id in islice(bucket, _HEADS) if self._is_wanted(id)]
            if bucket and not live:
                return False
            ids += live[:1]
        self.job = self._state.jobs.get(min(ids)) if ids else None
        return self.job is not None

    def _is_wanted(self, id: int) -> bool:
        job = self._state.jobs.get(id)
        return job is not None and job.state == READY and job.tube is self._tube

    def search(self) -> bool:
        """Looks at the next slice. True if the search is over."""
        tube = self._tube
        seen = 0
        while self._next < len(self._blocks):
            if seen >= listing.SLICE_JOBS:
                return False
            jobs = self._state.jobs.block(self._blocks[self._next])
            self._next += 1
            seen += len(jobs) + listing.BLOCK_COST
            for job in jobs:
                if job.state == READY and (tube is None or job.tube is tube):
                    self.job = job
                    self._next = len(self._blocks)
                    return True
        return True
