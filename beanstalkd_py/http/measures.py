"""Figures that are measured only for /metrics: commits of the log and its syncs, as histograms."""

from bisect import bisect_left
from threading import Lock

_NS = 1_000_000_000


class Histogram:
    """bounds: the largest value of each bucket. Any thread may call `observe`."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self._lock = Lock()

    def observe(self, value: float) -> None:
        with self._lock:
            self._counts[bisect_left(self._bounds, value)] += 1
            self.sum += value

    @property
    def buckets(self) -> list[tuple[str, int]]:
        """The bound of each bucket, and the number of values up to it."""
        count = 0
        buckets = []
        for bound, more in zip((*self._bounds, "+Inf"), self._counts, strict=True):
            count += more
            buckets.append((str(bound), count))
        return buckets


class Measures:
    """batches: records of each commit. syncs: seconds that each sync took."""

    def __init__(self) -> None:
        self.batches = Histogram((1, 2, 5, 10, 20, 50, 100, 200, 500, 1000))
        self.syncs = Histogram(
            (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 10)
        )
        self._lsn = -1

    def commit(self, lsn: int) -> None:
        """A commit of all records up to this LSN."""
        if lsn > self._lsn >= 0:
            self.batches.observe(lsn - self._lsn)
        self._lsn = lsn

    def disk_call(self, what: str, ns: int) -> None:
        if what == "sync":
            self.syncs.observe(ns / _NS)
