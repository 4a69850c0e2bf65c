"""The ready jobs of a tube: FIFO buckets by priority, beside a lazy heap.

Ready jobs of one priority mostly arrive in the order of their ids. Such jobs are in the FIFO bucket
of their priority: to append a job and to remove the first one takes constant time. A job is in the
lazy heap if it arrives out of order (for example a released job), or if its tube has too few jobs
for one more bucket. Like the heap, buckets may have stale entries.
"""

from collections import deque
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import groupby
from typing import Final, Generic

from beanstalkd_py.queue import lazyheap
from beanstalkd_py.queue.jobtable import JobTable
from beanstalkd_py.queue.lazyheap import ID_BITS, ID_MASK, READY, J, LazyHeap

BUCKETS: Final = 1024  # at most, in one tube; jobs of further priorities are in the heap
JOBS_PER_BUCKET = 8  # at least, on average: an empty bucket takes 760 bytes


def key_of(pri: int, id: int) -> int:
    """Returns an entry. At priority 0 it is the integer of the id itself, which saves 32 bytes."""
    return pri << ID_BITS | id if pri else id


class ReadyJobs(Generic[J]):
    """Entries of all ready jobs of a tube. The number of jobs is in `Tube.ready_count`."""

    __slots__ = ("_jobs", "buckets", "heap", "in_buckets", "keys", "priorities")

    def __init__(self, jobs: JobTable[J]) -> None:
        self._jobs = jobs
        self.buckets: dict[int, deque[int]] = {}  # by priority: ids, ascending
        self.priorities: list[int] = []  # heap of those that have a bucket
        self.in_buckets = 0  # entries in all buckets
        self.heap: LazyHeap[J] = LazyHeap(jobs, READY)
        # The entries of `heap`. Replay appends entries in any order and calls `rebuild` at its end.
        self.keys = self.heap.keys

    def __len__(self) -> int:
        """The number of entries, including stale ones."""
        return self.in_buckets + len(self.keys)

    def add(self, pri: int, id: int, count: int) -> None:
        """Adds the entry of a job. count: ready jobs, without this one."""
        bucket = self.buckets.get(pri)
        if bucket is None:
            if len(self.buckets) < count // JOBS_PER_BUCKET and len(self.buckets) < BUCKETS:
                self.buckets[pri] = deque((id,))
                heappush(self.priorities, pri)
                self.in_buckets += 1
                return
        elif not bucket or id > bucket[-1]:
            bucket.append(id)
            self.in_buckets += 1
            return
        heappush(self.keys, key_of(pri, id))

    def leave(self, pri: int, id: int, count: int) -> None:
        """To be called when a job leaves, before its state changes. count: ready jobs left."""
        keys = self.keys
        bucket = self.buckets.get(pri)
        if bucket and bucket[0] == id:
            bucket.popleft()
            self.in_buckets -= 1
        elif keys and keys[0] == pri << ID_BITS | id:
            heappop(keys)
        if self.in_buckets + len(keys) > 2 * count + lazyheap.STALE_ALLOWED:
            self.tidy(count)

    def first(self) -> J | None:
        """The job with the smallest (priority, id)."""
        priorities = self.priorities
        jobs = self._jobs
        while priorities:
            pri = priorities[0]
            bucket = self.buckets[pri]
            while bucket:
                job = jobs.get(bucket[0])
                if job is not None and job.state == READY and job.pri == pri:
                    return self._first_of_both(job) if self.keys else job
                bucket.popleft()
                self.in_buckets -= 1
            self._drop_first_bucket()
        return self.heap.first()

    def _first_of_both(self, in_bucket: J) -> J:
        job = self.heap.first()
        if job is None or (in_bucket.pri, in_bucket.id) <= (job.pri, job.id):
            return in_bucket
        return job

    def _drop_first_bucket(self) -> None:
        """The bucket of the first priority is empty."""
        del self.buckets[heappop(self.priorities)]

    def tidy(self, count: int) -> None:
        """Removes stale entries: all of them, or a few if there are many entries."""
        if not lazyheap.is_large(len(self), count):
            self.rebuild(count)
            return
        if self.in_buckets:
            self._shorten_first_bucket()
        if self.keys:
            self.heap.sweep()

    def _shorten_first_bucket(self) -> None:
        """Takes STEPS entries from the head of the first bucket. Live ones move to the heap, stale
        ones are dropped.
        """
        for _ in range(lazyheap.STEPS):
            while self.priorities and not self.buckets[self.priorities[0]]:
                self._drop_first_bucket()
            if not self.priorities:
                return
            pri = self.priorities[0]
            key = key_of(pri, self.buckets[pri].popleft())
            self.in_buckets -= 1
            if self.heap.is_live(key):
                heappush(self.keys, key)

    def rebuild(self, count: int) -> None:
        """Sorts all live entries into buckets and the heap, and drops stale ones. count: ready
        jobs.
        """
        keys = self.all_keys()
        if len(keys) != count:
            keys = list({key for key in keys if self.heap.is_live(key)})
        keys.sort()
        self.clear()
        most = min(BUCKETS, len(keys) // JOBS_PER_BUCKET)
        for pri, group in self._by_priority(keys):
            if len(self.buckets) >= most:
                self.keys.extend(group)  # sorted, and a sorted list is a heap
            else:
                self._new_bucket(pri, group)

    def all_keys(self) -> list[int]:
        """All entries, in no order. Some may be stale, or there twice."""
        return [
            *self.keys,
            *(key_of(pri, id) for pri, bucket in self.buckets.items() for id in bucket),
        ]

    def _by_priority(self, keys: list[int]) -> Iterable[tuple[int, Iterable[int]]]:
        if keys and keys[-1] <= ID_MASK:  # only priority 0: then half a million jobs take 10 ms
            return [(0, keys)]
        return groupby(keys, _priority)

    def _new_bucket(self, pri: int, keys: Iterable[int]) -> None:
        """Uses the integer objects of the jobs' ids, so that no id is in memory twice."""
        jobs = self._jobs
        ids = deque(jobs[key & ID_MASK].id for key in keys) if pri else deque(keys)
        self.buckets[pri] = ids
        self.priorities.append(pri)
        self.in_buckets += len(ids)

    def clear(self) -> None:
        """Forgets all entries; none may be live."""
        self.buckets.clear()
        self.priorities.clear()
        self.in_buckets = 0
        self.keys.clear()


def _priority(key: int) -> int:
    return key >> ID_BITS
