"""The rows of the benchmark and their goals.

A Load is a way to use a server. A Row is one number to compare.

Bodies have 100 bytes unless a Load says otherwise. A goal is a ratio of this server to the C
server.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch
from typing import NamedTuple

MEMORY: tuple[str, ...] = ()
DURABLE = ("-f0",)
WINDOW = ("-f50",)


class Goal(NamedTuple):
    """bound: limit of the ratio ours/C, or of another ratio in sections without the C server.

    at_most: smaller is better.
    """

    bound: float
    at_most: bool = False

    def met(self, ratio: float) -> bool:
        return ratio <= self.bound if self.at_most else ratio >= self.bound

    def __str__(self) -> str:
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"


class Load(NamedTuple):
    """A way to use a server.

    jobs: numbers for this server and for the C server; each takes about one second.
    """

    flags: tuple[str, ...]
    producers: int
    consumers: int
    depth: int  # commands in flight on each connection
    jobs: tuple[int, int]
    body: int = 100
    tubes: int = 0  # further tubes, each with one delayed job
    rounds: int = 99  # at most

    @property
    def preloaded(self) -> bool:
        """A load without producers consumes jobs that were put before."""
        return not self.producers


class Row(NamedTuple):
    """metric: a field of Sample; throughput is per_s."""

    name: str
    title: str
    load: Load
    goal: Goal
    metric: str = "per_s"


def _put(flags: tuple[str, ...], connections: int, depth: int, ours: int, c: int) -> Load:
    return Load(flags, connections, 0, depth, (ours, c))


def _consume(depth: int, ours: int, c: int) -> Load:
    return Load(MEMORY, 0, 50, depth, (ours, c))


def _both(flags: tuple[str, ...], depth: int, ours: int, c: int) -> Load:
    return Load(flags, 25, 25, depth, (ours, c))


BOTH = _both(MEMORY, 1, 50_000, 50_000)

ROWS = (
    Row("put-50x1", "put, 50 x 1", _put(MEMORY, 50, 1, 100_000, 100_000), Goal(1.0)),
    Row("consume-50x1", "consume, 50 x 1", _consume(1, 80_000, 60_000), Goal(1.2)),
    Row("both-25x1", "put and consume, 25 + 25 x 1", BOTH, Goal(1.2)),
    Row("put-50x50", "put, 50 x 50", _put(MEMORY, 50, 50, 250_000, 150_000), Goal(3)),
    Row("consume-50x50", "consume, 50 x 50", _consume(50, 200_000, 60_000), Goal(4)),
    Row("both-25x50", "put and consume, 25 + 25 x 50", _both(MEMORY, 50, 150_000, 40_000), Goal(3)),
    Row("put-1x1", "put, 1 x 1", _put(MEMORY, 1, 1, 15_000, 15_000), Goal(0.95)),
    Row("put-1000x1", "put, 1000 x 1", _put(MEMORY, 1000, 1, 100_000, 100_000), Goal(1.2)),
    Row(
        "tubes",
        "put and consume, 25 + 25 x 1, 20 000 more tubes",
        Load(MEMORY, 25, 25, 1, (50_000, 500), tubes=20_000, rounds=3),
        Goal(100),
    ),
    Row(
        "reserved",
        "1 connection reserves 30 000 jobs, then deletes them",
        Load(MEMORY, 0, 1, 30_000, (30_000, 30_000), rounds=3),
        Goal(100),
    ),
    Row(
        "big",
        "put and consume, 10 + 10 x 1, 60 000 bytes",
        Load(MEMORY, 10, 10, 1, (15_000, 15_000), body=60_000),
        Goal(1.0),
    ),
    Row("p99-put", "p99 of put, 25 + 25 x 1", BOTH, Goal(1.0, at_most=True), "put_p99_us"),
    Row("durable-put-1x1", "-b -f0: put, 1 x 1", _put(DURABLE, 1, 1, 4_000, 4_000), Goal(1.0)),
    Row("durable-put-50x1", "-b -f0: put, 50 x 1", _put(DURABLE, 50, 1, 60_000, 6_000), Goal(10)),
    Row(
        "durable-both-25x1",
        "-b -f0: put and consume, 25 + 25 x 1",
        _both(DURABLE, 1, 30_000, 3_000),
        Goal(8),
    ),
    Row(
        "durable-put-50x50", "-b -f0: put, 50 x 50", _put(DURABLE, 50, 50, 250_000, 7_500), Goal(60)
    ),
    Row(
        "durable-both-25x50",
        "-b -f0: put and consume, 25 + 25 x 50",
        _both(DURABLE, 50, 100_000, 4_000),
        Goal(30),
    ),
    Row("window-put-50x1", "-b -f50: put, 50 x 1", _put(WINDOW, 50, 1, 80_000, 80_000), Goal(1.0)),
    Row(
        "window-put-50x50", "-b -f50: put, 50 x 50", _put(WINDOW, 50, 50, 200_000, 100_000), Goal(3)
    ),
)


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The names that match one of the patterns (`put-*`); all names if there are no patterns."""
    return [
        name
        for name in names
        if not patterns or any(fnmatch(name, pattern) for pattern in patterns)
    ]
