"""The instants at which something may fall due on the servers: so that time can be moved from one
to the next.

May know: the clock. Knows too many instants rather than too few: to stop at one where nothing
happens does no harm.
"""

from __future__ import annotations

import heapq

from .clock import SECOND, Clock

FAR_NS = 100 * SECOND  # nobody waits that long
NEVER = 1 << 62


class Agenda:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._instants: list[int] = []
        self._known: set[int] = set()
        self._ttrs: set[int] = {SECOND}  # ns

    @property
    def next_at(self) -> int:
        """The first instant after now (monotonic ns), NEVER if there is none."""
        while self._instants and self._instants[0] <= self._clock.now:
            self._known.discard(heapq.heappop(self._instants))
        return self._instants[0] if self._instants else NEVER

    def after(self, ns: int) -> None:
        """Something is due so long after now."""
        at = self._clock.now + ns
        if 0 < ns < FAR_NS and at not in self._known:
            self._known.add(at)
            heapq.heappush(self._instants, at)

    def ttr(self, ns: int) -> None:
        """There are jobs with this TTR."""
        if ns < FAR_NS:
            self._ttrs.add(ns)

    def a_ttr_begins(self) -> None:
        """Of some job. A second before its end, who waits is told."""
        for ttr in self._ttrs:
            self.after(ttr)
            self.after(ttr - SECOND)
