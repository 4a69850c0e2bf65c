"""What each operation costs beside ten thousand jobs and beside three million: costs must not grow
with what is held.

Two servers in memory, one small and one large, have their turns; CPU of the server for each
operation counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from .pipeline import A_YEAR_S, Pipeline
from .rows import Goal
from .servers import Running, Subject, running

SMALL, LARGE = 10_000, 3_000_000
AT_ONCE = 10_000  # operations in one measurement
PRIORITIES = 1_000
BODY = b"b" * 100
LOOK_AGAIN_S = 0.05
PATIENCE_S = 30.0
GOAL = Goal(1.5, at_most=True)


class Cost(NamedTuple):
    """CPU us of the server for each operation."""

    put: float
    reserve: float
    delete: float
    kick: float
    timeout: float
    delay: float


class GrowthRow(NamedTuple):
    """metric: of Cost."""

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


class Held:
    """A server that holds many jobs: four of five ready, at any priority, one delayed for long."""

    def __init__(
        self, server: Running, pipeline: Pipeline, jobs: int, chance: random.Random
    ) -> None:
        self._server = server
        self._pipeline = pipeline
        self._chance = chance
        self._pipeline.ask(
            (self._put(A_YEAR_S if number % 5 == 0 else 0) for number in range(jobs)), b"INSERTED"
        )

    def cost(self) -> Cost:
        """Leaves the server as it was."""
        put = self._of(
            lambda: self._pipeline.ask((self._put() for _ in range(AT_ONCE)), b"INSERTED")
        )
        ids: list[int] = []
        reserve = self._of(lambda: ids.extend(self._pipeline.reserve(AT_ONCE, BODY)))
        self._pipeline.ask((b"bury %d 0\r\n" % id for id in ids), b"BURIED")
        kick = self._of(
            lambda: self._pipeline.ask([b"kick 100\r\n"] * (AT_ONCE // 100), b"KICKED 100")
        )
        delete = self._of(self._delete_all, self._pipeline.reserve(AT_ONCE, BODY))
        return Cost(put, reserve, delete, kick, self._timeout(), self._delay())

    def _delete_all(self, ids: list[int]) -> None:
        self._pipeline.ask((b"delete %d\r\n" % id for id in ids), b"DELETED")

    def _timeout(self) -> float:
        """Of jobs that are reserved until their TTR is over, all at about the same time."""
        self._pipeline.ask((self._put(pri=0, ttr=1) for _ in range(AT_ONCE)), b"INSERTED")
        before = self._pipeline.stats()["job-timeouts"]
        self._pipeline.reserve(AT_ONCE, BODY)
        cost = self._of(
            lambda: self._await(lambda stats: stats["job-timeouts"] == before + AT_ONCE)
        )
        self._delete_all(self._pipeline.reserve(AT_ONCE, BODY))
        return cost

    def _delay(self) -> float:
        before = self._pipeline.stats()["current-jobs-delayed"]
        self._pipeline.ask((self._put(delay=1, pri=0) for _ in range(AT_ONCE)), b"INSERTED")
        cost = self._of(lambda: self._await(lambda stats: stats["current-jobs-delayed"] == before))
        self._delete_all(self._pipeline.reserve(AT_ONCE, BODY))
        return cost

    def _put(self, delay: int = 0, pri: int = -1, ttr: int = 120) -> bytes:
        """Without pri: anything but the most urgent."""
        pri = self._chance.randrange(1, PRIORITIES) if pri < 0 else pri
        return b"put %d %d %d %d\r\n%b\r\n" % (pri, delay, ttr, len(BODY), BODY)

    def _of(self, act: Callable[..., object], *arguments: object) -> float:
        before = self._server.cpu_ns()
        act(*arguments)
        return (self._server.cpu_ns() - before) / AT_ONCE / 1000

    def _await(self, happened: Callable[[dict[str, int]], bool]) -> None:
        give_up_at = time.monotonic() + PATIENCE_S
        while not happened(self._pipeline.stats()):
            assert time.monotonic() < give_up_at, "the jobs are still not ready"
            time.sleep(LOOK_AGAIN_S)


def measure(
    subject: Subject, directory: Path, rounds: int, large: int = LARGE
) -> Iterator[tuple[Cost, Cost]]:
    """The costs beside few and beside many jobs, for each round."""
    chance = random.Random(1)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(subject, [], directory)) for _ in range(2)]
        small, many = (
            Held(server, stack.enter_context(Pipeline(server)), jobs, chance)
            for server, jobs in zip(servers, (SMALL, large), strict=True)
        )
        for _ in range(rounds):
            yield small.cost(), many.cost()
