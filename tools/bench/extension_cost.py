"""Measures the CPU cost of put-with with a key against put, and of reserve-batch against reserve.

One server in memory, one client with one command in flight. Pipelined puts have a faster path in
the parser, and so have no row. reserve-batch takes 100 jobs at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .pipeline import Pipeline
from .rows import Goal
from .servers import Running, Subject, running

OPERATIONS = 20_000  # of each command in one measurement
BATCH = 100
BODY = b"b" * 100


class ExtensionCost(NamedTuple):
    """CPU time of the server for each job, in us."""

    put: float
    put_with: float
    reserve: float
    reserve_batch: float


class CostRow(NamedTuple):
    """metric, other: fields of ExtensionCost. The goal is that of their ratio."""

    name: str
    title: str
    metric: str
    other: str
    goal: Goal


COST_ROWS = (
    CostRow(
        "put-with-key", "CPU of put-with with a key / put", "put_with", "put",
        Goal(2, at_most=True),
    ),
    CostRow(
        "reserve-batch", f"CPU of reserve-batch {BATCH}, each job / reserve", "reserve_batch",
        "reserve", Goal(0.5, at_most=True),
    ),
)  # fmt: skip


def knows_extensions(subject: Subject, directory: Path) -> bool:
    """False for a commit before them."""
    with running(subject, (), directory) as server, server.connect() as connection:
        connection.sendall(b"put-with\r\n")
        return connection.recv(100) == b"BAD_FORMAT\r\n"


def measure(
    subject: Subject, directory: Path, rounds: int, operations: int = OPERATIONS
) -> Iterator[ExtensionCost]:
    with running(subject, (), directory) as server, Pipeline(server) as pipeline:
        run = _Run(server, pipeline, operations)
        run.cost()  # a warm-up
        for _ in range(rounds):
            yield run.cost()


class _Run:
    def __init__(self, server: Running, pipeline: Pipeline, operations: int) -> None:
        self._server = server
        self._pipeline = pipeline
        self._operations = operations
        self._keys = itertools.count()
        self._lines: list[bytes] = []  # of the replies to reserves

    def cost(self) -> ExtensionCost:
        """Afterwards there is no job."""
        put = self._measure(self._put)
        reserve = self._measure(self._reserve)
        self._delete()
        put_with = self._measure(self._put_with)
        self._reserve()
        self._delete()
        self._put()
        reserve_batch = self._measure(self._reserve_batch)
        self._delete()
        return ExtensionCost(put, put_with, reserve, reserve_batch)

    def _put(self) -> None:
        put = b"put 0 0 60 %d\r\n%b\r\n" % (len(BODY), BODY)
        for _ in range(self._operations):
            self._pipeline.ask([put], b"INSERTED")

    def _put_with(self) -> None:
        put = b"put-with 0 0 60 %d key=key-%d\r\n%b\r\n"
        for key in itertools.islice(self._keys, self._operations):
            self._pipeline.ask([put % (len(BODY), key, BODY)], b"INSERTED")

    def _reserve(self) -> None:
        for _ in range(self._operations):
            self._lines += self._pipeline.ask([b"reserve\r\n"], b"RESERVED", BODY)

    def _reserve_batch(self) -> None:
        replies = [b"RESERVED_BATCH %d" % BATCH, *[b"RESERVED", BODY] * BATCH]
        for _ in range(self._operations // BATCH):
            lines = self._pipeline.ask([b"reserve-batch %d 0\r\n" % BATCH], *replies)
            self._lines += lines[1:]

    def _delete(self) -> None:
        ids = [line.split()[1] for line in self._lines[::2]]
        self._pipeline.ask((b"delete %b\r\n" % id for id in ids), b"DELETED")
        self._lines.clear()

    def _measure(self, act: Callable[[], object]) -> float:
        before = self._server.cpu_ns()
        act()
        return (self._server.cpu_ns() - before) / self._operations / 1000
