"""One page of the jobs of a tube in one state, in the order in which they would be served.

The order is that of keys, `order << 64 | id`, where `order` is the priority of a ready job, and
else `deadline_at`: the instant of a delayed or reserved job, the sequence number of a buried one.
A page has the smallest keys after a cursor, which is a key.

If the tube has few jobs in this state, they are sorted at once. Otherwise the blocks of the job
table are looked at, SLICE_JOBS in one slice: each job has its fixed place there, so a
change between two slices hides no job. The smallest keys are kept.

Ready jobs mostly have few priorities. So the blocks are visited by ascending id, from the job of
the cursor on, and then from the first block. The page is complete as soon as it is full of jobs of
the lowest possible priority. Then a page costs what lies between its first and its last job.
"""

from bisect import bisect_left
from itertools import islice
from typing import Final

from beanstalkd_py.queue.jobtable import BLOCK_BITS
from beanstalkd_py.queue.lazyheap import ID_BITS, ID_MASK
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, Job, Tube
from beanstalkd_py.queue.state import State

FEW_JOBS = 1000  # are sorted at once
SLICE_JOBS = 4096  # that a slice looks at, in about 0.3 ms
BLOCK_COST: Final = 8  # a block costs as much as so many jobs
_HIGHEST: Final = 1 << 126  # above every order


class Listing:
    """The first `limit` jobs whose key is above `after`; -1: from the first job on."""

    __slots__ = (
        "_after", "_blocks", "_found", "_highest", "_in_order", "_least", "_limit", "_next",
        "_start", "_state", "_taken", "_tube", "_wanted",
    )  # fmt: skip

    def __init__(self, state: State, tube: Tube, wanted: int, limit: int, after: int) -> None:
        """wanted: a state."""
        self._state = state
        self._tube = tube
        self._wanted = wanted
        self._limit = limit
        self._begin(after)

    def _begin(self, after: int) -> None:
        self._after = after
        self._found: list[int] = []  # keys
        self._taken = 0  # of `_found`, by `take`
        self._highest = _HIGHEST  # keys of a higher order are not wanted
        self._least = after >> ID_BITS  # no wanted key has a lower order
        self._start = (after & ID_MASK) + 1 if after >= 0 else 0  # id to begin with
        self._in_order = 0  # jobs of order `_least`, from `_start` on
        self._blocks: list[int] = []
        self._next = 0  # index in `_blocks`
        few = self._few()
        if few is not None:
            self._found = list({key for job in few if (key := self._key(job)) > after})
            return
        if after < 0 and self._wanted == READY and (first := self._tube.ready.first()) is not None:
            self._least = first.pri
            self._start = first.id
        blocks = self._state.jobs.numbers()
        place = bisect_left(blocks, self._start >> BLOCK_BITS) if self._wanted == READY else 0
        self._blocks = blocks[place:] + blocks[:place]

    def _few(self) -> list[Job] | None:
        """All jobs of the page and perhaps more, if that are few; else None."""
        tube = self._tube
        if self._wanted == READY:
            return self._of_keys(tube.ready.all_keys()) if len(tube.ready) <= FEW_JOBS else None
        if self._wanted == DELAYED:
            return self._of_keys(tube.delayed.keys) if len(tube.delayed) <= FEW_JOBS else None
        if self._wanted == BURIED:
            few = len(tube.buried) <= FEW_JOBS or self._after < 0
            return list(islice(tube.buried.values(), max(FEW_JOBS, self._limit))) if few else None
        return None if tube.reserved_count else []

    def _of_keys(self, keys: list[int]) -> list[Job]:
        """Some entries may be stale."""
        jobs = [self._state.jobs.get(key & ID_MASK) for key in keys]
        return [job for job in jobs if job is not None and self._is_wanted(job)]

    def _is_wanted(self, job: Job) -> bool:
        return job.tube is self._tube and job.state == self._wanted

    def _key(self, job: Job) -> int:
        return (job.pri if self._wanted == READY else job.deadline_at) << ID_BITS | job.id

    def search(self) -> bool:
        """Looks at the next slice. True if the jobs of the page are found."""
        seen = 0
        while self._next < len(self._blocks) and seen < SLICE_JOBS:
            jobs = self._state.jobs.block(self._blocks[self._next])
            self._search_block(jobs)
            seen += len(jobs) + BLOCK_COST
            self._next += 1
            if self._in_order >= self._limit:
                self._next = len(self._blocks)
        if self._next < len(self._blocks):
            return False
        if not self._taken:
            self._keep_smallest()
        return True

    def _search_block(self, jobs: list[Job]) -> None:
        tube = self._tube
        wanted = self._wanted
        is_ready = wanted == READY
        after = self._after
        least = self._least
        highest = self._highest
        found = self._found
        for job in jobs:
            if job.state != wanted or job.tube is not tube:
                continue
            order = job.pri if is_ready else job.deadline_at
            if order > highest or order < least:
                continue
            key = order << ID_BITS | job.id
            if key > after:
                found.append(key)
                if is_ready and order == least and job.id >= self._start:
                    self._in_order += 1
        if len(found) >= 2 * self._limit:
            self._keep_smallest()

    def _keep_smallest(self) -> None:
        self._found.sort()
        if len(self._found) > self._limit:
            del self._found[self._limit :]
            self._highest = self._found[-1] >> ID_BITS

    def take(self, count: int) -> list[tuple[int, Job]]:
        """The next `count` jobs of the page with their keys, without those that have changed since
        they were found. To be called after the search.
        """
        keys = self._found[self._taken : self._taken + count]
        self._taken += len(keys)
        jobs = [(key, self._state.jobs.get(key & ID_MASK)) for key in keys]
        return [
            (key, job)
            for key, job in jobs
            if job is not None and self._is_wanted(job) and self._key(job) == key
        ]

    @property
    def is_taken(self) -> bool:
        return self._taken == len(self._found)

    def search_on(self) -> bool:
        """To be called if all jobs of the page have changed, because an empty page means the end of
        the list. False if there was none.
        """
        if not self._found:
            return False
        self._begin(self._found[-1])
        return True
