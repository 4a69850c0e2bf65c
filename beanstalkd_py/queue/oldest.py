"""The oldest ready job: the one with the smallest id, because ids are given in the order of time.

No structure is kept for it, so puts and reserves cost nothing more. The search looks at the first
entry of each FIFO bucket and at all entries of the heap, if these are few. Otherwise it goes
through the job table from its first block on, in slices, up to the first ready job. Blocks without
jobs do not exist there, so it passes only jobs that are older and not ready, or in other tubes.
"""

from collections.abc import Iterable
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
        if is_ready and tube is not None:
            self.job = of_few(tube, listing.FEW_JOBS)
        if is_ready and self.job is None:
            self._blocks = state.jobs.numbers()

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


def of_few(tube: Tube, few: int) -> Job | None:
    """The oldest ready job of a tube with up to `few` entries in its heap. None if there are more,
    or if it cannot be told from few entries.
    """
    if len(tube.ready.keys) > few:
        return None
    oldest = _first_ready(sorted([key & ID_MASK for key in tube.ready.keys]), tube)
    for bucket in tube.ready.buckets.values():
        if bucket:
            job = _first_ready(islice(bucket, _HEADS), tube)
            if job is None:
                return None
            if oldest is None or job.id < oldest.id:
                oldest = job
    return oldest


def _first_ready(ids: Iterable[int], tube: Tube) -> Job | None:
    for id in ids:
        job = tube.table.get(id)
        if job is not None and job.state == READY and job.tube is tube:
            return job
    return None
