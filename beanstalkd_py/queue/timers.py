"""The timers of tubes and clients: a heap of instants with lazy deletion.

An owner has one valid timer, at its `timer_at`. If the timer is set to an earlier instant, the old
entry becomes stale. Stale entries are dropped when they are due, or when they are more than half of
the heap.
"""

from heapq import heappop, heappush
from typing import Final

NEVER: Final = 1 << 126  # an instant (ns) that is never reached
STALE_ALLOWED = 64  # so many stale entries cause no rebuild


class TimerOwner:
    """What can have a timer: a tube or a client. order: breaks ties; it is unique."""

    __slots__ = ("order", "timer_at")

    order: int
    timer_at: int


Timer = tuple[int, int, TimerOwner]


class Timers:
    """Instants are boot time, ns. `heap` stays the same list."""

    __slots__ = ("heap",)

    def __init__(self) -> None:
        self.heap: list[Timer] = []

    def plan(self, owner: TimerOwner, at: int, owners: int) -> None:
        """Sets the owner's timer to `at`, which is earlier than before. owners: the number of
        owners.
        """
        heap = self.heap
        heappush(heap, (at, owner.order, owner))
        owner.timer_at = at
        if len(heap) > 2 * owners + STALE_ALLOWED:
            heap[:] = sorted({timer for timer in heap if timer[2].timer_at == timer[0]}, key=_key)

    def due(self, now: int) -> list[TimerOwner]:
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
