"""Measures the CPU cost of each operation with ten thousand jobs and with three million jobs.

The cost must not grow with the number of jobs. Two servers run in memory, a small one and a large
one. They are measured in turn.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from testkit.waiting import HANG_S

from .pipeline import YEAR_S, Pipeline
from .rows import Goal
from .servers import Running, Subject, running

SMALL, LARGE = 10_000, 3_000_000
OPERATIONS = 10_000  # in one measurement
PRIORITIES = 1_000
BODY = b"b" * 100
POLL_S = 0.05
GOAL = Goal(1.5, at_most=True)


class Cost(NamedTuple):
    """CPU time of the server for each operation, in us."""

    put: float
    reserve: float
    delete: float
    kick: float
    timeout: float
    delay: float


class GrowthRow(NamedTuple):
    """metric: a field of Cost."""

    name: str
    title: str
    metric: str


GROWTH_ROWS = tuple(
    GrowthRow(f"growth-{metric}", f"CPU of {what}, {LARGE} jobs held / {SMALL}", metric)
    for metric, what in zip(
        Cost._fields,
        ("put", "reserve", "delete", "kick", "a TTR's end", "a delay's end"),
        strict=True,
    )
)


class LoadedServer:
    """A server that holds many jobs: 80 % are ready at random priorities, 20 % are delayed."""

    def __init__(self, server: Running, pipeline: Pipeline, jobs: int, rng: random.Random) -> None:
        self._server = server
        self._pipeline = pipeline
        self._rng = rng
        self._pipeline.ask(
            (self._put(YEAR_S if number % 5 == 0 else 0) for number in range(jobs)), b"INSERTED"
        )

    def cost(self) -> Cost:
        """Measures all operations. Afterwards the server holds the same jobs as before."""
        put = self._measure(
            lambda: self._pipeline.ask((self._put() for _ in range(OPERATIONS)), b"INSERTED")
        )
        ids: list[int] = []
        reserve = self._measure(lambda: ids.extend(self._pipeline.reserve(OPERATIONS, BODY)))
        self._pipeline.ask((b"bury %d 0\r\n" % id for id in ids), b"BURIED")
        kick = self._measure(
            lambda: self._pipeline.ask([b"kick 100\r\n"] * (OPERATIONS // 100), b"KICKED 100")
        )
        delete = self._measure(self._delete_all, self._pipeline.reserve(OPERATIONS, BODY))
        return Cost(put, reserve, delete, kick, self._timeout(), self._delay())

    def _delete_all(self, ids: list[int]) -> None:
        self._pipeline.ask((b"delete %d\r\n" % id for id in ids), b"DELETED")

    def _timeout(self) -> float:
        """The cost of a TTR timeout. All TTRs end at about the same time."""
        self._pipeline.ask((self._put(pri=0, ttr=1) for _ in range(OPERATIONS)), b"INSERTED")
        before = self._pipeline.stats()["job-timeouts"]
        self._pipeline.reserve(OPERATIONS, BODY)
        cost = self._measure(
            lambda: self._wait_until(lambda stats: stats["job-timeouts"] == before + OPERATIONS)
        )
        self._delete_all(self._pipeline.reserve(OPERATIONS, BODY))
        return cost

    def _delay(self) -> float:
        before = self._pipeline.stats()["current-jobs-delayed"]
        self._pipeline.ask((self._put(delay=1, pri=0) for _ in range(OPERATIONS)), b"INSERTED")
        cost = self._measure(
            lambda: self._wait_until(lambda stats: stats["current-jobs-delayed"] == before)
        )
        self._delete_all(self._pipeline.reserve(OPERATIONS, BODY))
        return cost

    def _put(self, delay: int = 0, pri: int = -1, ttr: int = 120) -> bytes:
        """A put command. Without pri: a random priority, except the most urgent one."""
        pri = self._rng.randrange(1, PRIORITIES) if pri < 0 else pri
        return b"put %d %d %d %d\r\n%b\r\n" % (pri, delay, ttr, len(BODY), BODY)

    def _measure(self, act: Callable[..., object], *arguments: object) -> float:
        before = self._server.cpu_ns()
        act(*arguments)
        return (self._server.cpu_ns() - before) / OPERATIONS / 1000

    def _wait_until(self, happened: Callable[[dict[str, int]], bool]) -> None:
        deadline = time.monotonic() + HANG_S
        while not happened(self._pipeline.stats()):
            assert time.monotonic() < deadline, "the jobs are not ready in time"
            time.sleep(POLL_S)


def measure(
    subject: Subject, directory: Path, rounds: int, large: int = LARGE
) -> Iterator[tuple[Cost, Cost]]:
    """Yields the costs with few jobs and with many jobs, once for each round."""
    rng = random.Random(1)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(subject, [], directory)) for _ in range(2)]
        few, many = (
            LoadedServer(server, stack.enter_context(Pipeline(server)), jobs, rng)
            for server, jobs in zip(servers, (SMALL, large), strict=True)
        )
        for _ in range(rounds):
            yield few.cost(), many.cost()
