"""Measures put latency while one command works on three million jobs: list-jobs, move-jobs,
truncate. Such a command goes on in slices, so no other client may wait longer than 5 ms for it.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .load import Beanload, Sample
from .pause import LOWEST_PRIORITY, Inconclusive
from .pipeline import YEAR_S, Pipeline
from .rows import DURABLE, Goal
from .servers import Running, Subject, running

HELD = 3_000_000
DELAYED = 1000  # of them: a page of these takes a pass over all jobs
PUTS = 15_000
CONNECTIONS = 50
BODY = b"b" * 100
LONGEST_US = 5_000
GOAL = Goal(1, at_most=True)  # of LONGEST_US


class BulkRow(NamedTuple):
    """metric: a field of Bulk."""

    name: str
    title: str
    metric: str


def _row(metric: str, beside: str) -> BulkRow:
    title = f"p99.9 of put / 5 ms {beside}, -b -f0, {CONNECTIONS} x 1, {HELD} jobs held"
    return BulkRow(f"bulk-{metric}", title, metric)


BULK_ROWS = (
    _row("nothing", "alone"),
    _row("list", "beside list-jobs"),
    _row("move", "beside move-jobs of all"),
    _row("truncate", "beside truncate of all"),
)


class Beside(NamedTuple):
    """The put load, and how many seconds one command took beside it."""

    sample: Sample
    seconds: float


class Bulk(NamedTuple):
    nothing: Beside
    list: Beside
    move: Beside
    truncate: Beside


def measure(
    beanload: Beanload, subject: Subject, directory: Path, runs: int, divisor: int = 1
) -> Iterator[Bulk]:
    with running(subject, DURABLE, directory) as server, Pipeline(server) as pipeline:
        for _ in range(runs):
            run = BulkRun(beanload, server, pipeline, PUTS // divisor)
            yield run.measure(HELD // divisor)


class BulkRun:
    """is_strict: a command that is over before the put load raises Inconclusive."""

    def __init__(
        self,
        beanload: Beanload,
        server: Running,
        pipeline: Pipeline,
        puts: int,
        is_strict: bool = True,
    ) -> None:
        self._beanload = beanload
        self._server = server
        self._pipeline = pipeline
        self._puts = puts
        self._is_strict = is_strict
        self._is_over = threading.Event()  # the put load

    def measure(self, held: int) -> Bulk:
        """In the end no jobs are held."""
        self._fill(held)
        nothing = Beside(self._load(), 0)
        listed = self._beside(self._list)
        moved = self._beside(lambda: self._move(held - DELAYED))
        return Bulk(nothing, listed, moved, self._beside(lambda: self._truncate(held)))

    def _fill(self, held: int) -> None:
        self._pipeline.ask([b"use held\r\n"], b"USING")
        delays = itertools.chain([YEAR_S] * DELAYED, itertools.repeat(0, held - DELAYED))
        self._pipeline.ask(
            (b"put 0 %d 60 %d\r\n%b\r\n" % (delay, len(BODY), BODY) for delay in delays),
            b"INSERTED",
        )

    # --- the commands

    def _list(self) -> int:
        """Pages of 1000 ready jobs, and pages that take a pass over all jobs."""
        for count in itertools.count(1):
            state = (b"delayed", b"ready")[count % 2]
            self._pipeline.ask([b"list-jobs held %b 1000\r\n" % state], b"OK", b"---\n- id")
            if self._is_over.is_set():
                return count
        raise AssertionError

    def _move(self, ready: int) -> int:
        """There and back."""
        for count in itertools.count(2, 2):
            for tubes in (b"held ready other", b"other ready held"):
                move = b"move-jobs %b 4294967295\r\n" % tubes
                self._pipeline.ask([move], b"MOVED %d" % ready)
            if self._is_over.is_set():
                return count
        raise AssertionError

    def _truncate(self, held: int) -> int:
        self._pipeline.ask([b"truncate held\r\n"], b"TRUNCATED %d" % held)
        return 1

    # --- the put load

    def _load(self) -> Sample:
        return self._beanload.run(self._server, CONNECTIONS, 0, 1, self._puts)

    def _beside(self, commands: Callable[[], int]) -> Beside:
        """commands: returns how many it has sent, at the latest when the load is over."""
        self._is_over.clear()
        sent: list[int] = []
        failures: list[BaseException] = []

        def run() -> None:
            # beanload shares the core with this thread and must come first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
            try:
                sent.append(commands())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        began = time.monotonic()
        thread.start()
        try:
            sample = self._load()
            if self._is_strict and not thread.is_alive():
                raise Inconclusive("the command was over before the put load")
        finally:
            self._is_over.set()
            thread.join()
        if failures:
            raise failures[0]
        return Beside(sample, (time.monotonic() - began) / sent[0])
