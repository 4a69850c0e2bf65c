"""When tubes and clients want a tick: a heap of instants with lazy deletion.

An owner has one valid timer, at its `timer_at`. An earlier one makes the old entry stale; stale
entries are dropped when they are due, or when they are more than half of the heap.
"""

from heapq import heappop, heappush

NEVER = 1 << 126  # an instant (ns) that does not come
SLACK = 64  # stale entries that are not worth a rebuild


class Owner:
    """Who can have a timer. order: breaks ties; no two owners have the same."""

    __slots__ = ("order", "timer_at")

    order: int
    timer_at: int


Timer = tuple[int, int, Owner]


class Timers:
    """Instants are monotonic ns. `heap` stays the same list."""

    __slots__ = ("heap",)

    def __init__(self) -> None:
        self.heap: list[Timer] = []

    def plan(self, owner: Owner, at: int, owners: int) -> None:
        """The owner's timer is at `at` now, which is earlier than it was. owners: how many there
        are.
        """
        owner.timer_at = at
        heap = self.heap
        heappush(heap, (at, owner.order, owner))
        if len(heap) > 2 * owners + SLACK:
            heap[:] = sorted({timer for timer in heap if timer[2].timer_at == timer[0]}, key=_key)

    def due(self, now: int) -> list[Owner]:
        """Removes the timers that are due and returns their owners, in order."""
        heap = self.heap
        owners = []
        while heap and heap[0][0] <= now:
            at, _, owner = heappop(heap)
            if owner.timer_at == at:
                owner.timer_at = NEVER
                owners.append(owner)
        return owners


def _key(timer: Timer) -> tuple[int, int]:
    return timer[0], timer[1]
