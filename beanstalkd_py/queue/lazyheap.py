"""A heap of jobs with lazy deletion.

An entry is an integer, `order << 64 | id`, where `order` is a priority or an instant: smaller and
faster to compare than a tuple, and the smaller id wins a tie.

When a job leaves, its entry is removed only if the entry is on top. Any other entry stays and is
stale: it no longer matches its job. A stale entry is dropped when it comes to the top.

A heap with more stale entries than live ones is tidied. A small heap is rebuilt. A large heap is
swept incrementally: each new stale entry causes a look at a few entries, so no command waits for a
whole sweep. So the memory of a heap is at most a constant times the memory of its live entries.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Generic, TypeVar

from beanstalkd_py.queue.jobtable import JobTable

# States; the C server's numbers.
READY: Final = 1
RESERVED: Final = 2
BURIED: Final = 3
DELAYED: Final = 4
ID_BITS: Final = 64
ID_MASK: Final = (1 << ID_BITS) - 1
STALE_ALLOWED = 64  # so many stale entries cause no rebuild
LARGE_ENTRIES = 4096  # a heap of more entries is large; a rebuild of so many takes 1 ms
# Entries of a large heap that a sweep looks at for each new stale entry. If half of the heap is
# stale, such a step removes four entries.
STEPS: Final = 8


class Queued:
    """The fields of a job that decide its place in heaps and buckets. Instants: boot time, ns."""

    __slots__ = ("deadline_at", "id", "pri", "state")

    id: int
    state: int
    pri: int
    # Delayed: when it becomes ready. Reserved: when its TTR ends. Buried: its sequence number among
    # all buries. Ready: 0.
    deadline_at: int


J = TypeVar("J", bound=Queued)


class LazyHeap(Generic[J]):
    """Entries of the jobs in one state. For READY the order is by priority, else by deadline.

    jobs: where to find a job by its id; the heap does not change it.
    """

    __slots__ = ("_jobs", "_state", "_swept", "keys")

    def __init__(self, jobs: dict[int, J] | JobTable[J], state: int) -> None:
        self.keys: list[int] = []
        self._jobs = jobs
        self._state = state
        self._swept = 0  # index at which the incremental sweep continues

    def __len__(self) -> int:
        """The number of entries, including stale ones."""
        return len(self.keys)

    def push(self, order: int, id: int, count: int) -> None:
        """Adds the entry of a job. count: jobs in the heap, including this one."""
        keys = self.keys
        heappush(keys, order << ID_BITS | id)
        if len(keys) > 2 * count + STALE_ALLOWED:
            self.tidy(count)

    def leave(self, order: int, id: int, count: int) -> None:
        """To be called when a job leaves, before its state changes. count: jobs that remain."""
        keys = self.keys
        if keys[0] == order << ID_BITS | id:
            heappop(keys)
        if len(keys) > 2 * count + STALE_ALLOWED:
            self.tidy(count)

    def first(self) -> J | None:
        """The job with the smallest (order, id)."""
        keys = self.keys
        jobs = self._jobs
        state = self._state
        while keys:
            key = keys[0]
            job = jobs.get(key & ID_MASK)
            if (
                job is not None
                and job.state == state
                and (job.pri if state == READY else job.deadline_at) == key >> ID_BITS
            ):
                return job
            heappop(keys)
        return None

    def is_live(self, key: int) -> bool:
        """Whether the entry matches its job."""
        job = self._jobs.get(key & ID_MASK)
        if job is None or job.state != self._state:
            return False
        return (job.pri if self._state == READY else job.deadline_at) == key >> ID_BITS

    def tidy(self, count: int) -> None:
        """Removes stale entries: all of them from a small heap, a few from a large one."""
        jobs = self._jobs
        if is_large(len(self.keys), count):
            self.sweep()
        elif count == len(jobs) and self._state != READY:
            # All of `jobs` stand in this heap, as a client's reserved jobs do: their entries are
            # made again. To look at the stale ones would take 0.2 us for each reserve.
            self.keys[:] = sorted([job.deadline_at << ID_BITS | job.id for job in jobs.values()])
        else:
            self.keys[:] = sorted({key for key in self.keys if self.is_live(key)})

    def sweep(self) -> None:
        """Looks at the next few entries and removes stale ones."""
        self._swept = sweep(self.keys, self._swept, self.is_live)

    def clear(self) -> None:
        """Forgets all entries; none may be live."""
        self.keys.clear()


def is_large(entries: int, count: int) -> bool:
    """Whether to sweep the heap instead of rebuilding it. A job may have several live entries, and
    a sweep removes none of them. So a heap that is full of such duplicates is rebuilt.
    """
    return LARGE_ENTRIES < entries <= 4 * count


def remove_at(heap: list[int], at: int) -> None:
    """Removes the entry at this index of a heap."""
    last = heap.pop()
    count = len(heap)
    if at == count:
        return
    while (child := 2 * at + 1) < count:
        if child + 1 < count and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= last:
            break
        heap[at] = heap[child]
        at = child
    while at and heap[parent := (at - 1) >> 1] > last:
        heap[at] = heap[parent]
        at = parent
    heap[at] = last


def sweep(heap: list[int], at: int, is_live: Callable[[int], bool]) -> int:
    """Looks at STEPS entries from this index on and removes stale ones. Returns the next index.

    A removal may move another entry to a position before the index. The next pass of the sweep
    finds that entry.
    """
    for _ in range(STEPS):
        if at >= len(heap):
            if not heap:
                return 0
            at = 0
        if is_live(heap[at]):
            at += 1
        else:
            remove_at(heap, at)
    return at
