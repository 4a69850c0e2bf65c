"""The times at which something may become due on the servers. The clock steps from one to the next.

There may be more deadlines than needed: an additional step is harmless.
"""

from __future__ import annotations

import heapq

from .clock import SECOND, Clock

FAR_NS = 100 * SECOND  # no client waits that long
NEVER = 1 << 62


class Deadlines:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._instants: list[int] = []
        self._known: set[int] = set()
        self._ttrs: set[int] = {SECOND}  # ns

    @property
    def next_at(self) -> int:
        """The first deadline after now (monotonic ns), or NEVER."""
        while self._instants and self._instants[0] <= self._clock.now:
            self._known.discard(heapq.heappop(self._instants))
        return self._instants[0] if self._instants else NEVER

    def add(self, ns: int) -> None:
        """Something is due after this time."""
        at = self._clock.now + ns
        if 0 < ns < FAR_NS and at not in self._known:
            self._known.add(at)
            heapq.heappush(self._instants, at)

    def add_ttr(self, ns: int) -> None:
        """There are jobs with this TTR. One may be reserved already: its reply came first."""
        if ns < FAR_NS:
            self._ttrs.add(ns)
            self._started(ns)

    def ttr_started(self) -> None:
        """The TTR of some job starts."""
        for ttr in self._ttrs:
            self._started(ttr)

    def _started(self, ttr: int) -> None:
        """DEADLINE_SOON is due one second before its end."""
        self.add(ttr)
        self.add(ttr - SECOND)
