"""How long jobs of one tube were ready before a client reserved them: a histogram.

Only the first reserve of a job counts. The instant at which a job becomes ready again, after a
release, a timeout or a kick, is stored nowhere.
"""

from bisect import bisect_left
from typing import Final

# The largest wait of each bucket, in ns; one more bucket has all longer waits.
BOUNDS_NS: Final = tuple(
    ms * 1_000_000 for ms in (1, 10, 100, 1000, 10_000, 60_000, 600_000, 3_600_000)
)


class Waits:
    __slots__ = ("counts", "total_ns")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_NS) + 1)
        self.total_ns = 0

    def add(self, ns: int) -> None:
        self.counts[bisect_left(BOUNDS_NS, ns)] += 1
        self.total_ns += ns
