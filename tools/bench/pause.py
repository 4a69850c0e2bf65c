"""Measures put latency while the server does everything that could cause a pause.

The server holds three million jobs. Thousands of delays and TTRs end in each second, segments
rotate, and compaction runs. The 99.9th percentile must stay within ten times the median. If one of
these events did not happen, the measurement raises Inconclusive.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from .load import Beanload, Sample
from .pipeline import Pipeline
from .rows import Goal
from .servers import Running, Subject, running

HELD = 3_000_000
DELAYED = 200_000
RESERVED = 100_000
WITHIN_S = 100  # the ends of delays and TTRs are spread over this time
PUTS = 100_000
CONNECTIONS = 50
BODY = b"b" * 100
LARGE_BODY = b"l" * 60_000
LARGE_JOBS = 4  # put and deleted at once
LOWEST_PRIORITY = 19  # of a thread, as in nice(1)
GOAL = Goal(10, at_most=True)
NAME, TITLE = "pause", f"no pause: p99.9 of put / p50, -b -f0, {CONNECTIONS} x 1, {HELD} jobs held"
# How often each event must happen at least during the measurement.
EVENTS = {"job-timeouts": 1000, "binlog-records-migrated": 1000, "binlog-current-index": 2}


class Inconclusive(Exception):
    """An event that could cause a pause did not happen."""


class Pauses(NamedTuple):
    """samples: one for each run. events: how often each of EVENTS happened in all runs."""

    samples: list[Sample]
    events: dict[str, int]


def measure(
    beanload: Beanload, subject: Subject, directory: Path, runs: int, held: int = HELD
) -> Pauses:
    with (
        running(subject, ["-f0"], directory) as server,
        Pipeline(server) as pipeline,
        Pipeline(server) as holder,
    ):
        _fill(pipeline, holder, held)
        with _churn(server):
            before = pipeline.stats()
            samples = list(_runs(beanload, server, pipeline, runs))
            after = pipeline.stats()
    events = {name: after[name] - before[name] for name in EVENTS}
    if any(events[name] < least for name, least in EVENTS.items()):
        raise Inconclusive(f"only {events} happened, at least {EVENTS} are required")
    return Pauses(samples, events)


def _runs(beanload: Beanload, server: Running, pipeline: Pipeline, runs: int) -> Iterator[Sample]:
    """Each run starts while compaction is running; it stops when little can be reclaimed."""
    for _ in range(runs):
        _wait_for_compaction(pipeline)
        yield beanload.run(server, CONNECTIONS, 0, 1, PUTS)


def _fill(pipeline: Pipeline, holder: Pipeline, held: int) -> None:
    pipeline.ask([b"use held\r\n"], b"USING")
    pipeline.ask((_put(0, 60) for _ in range(held - DELAYED - RESERVED)), b"INSERTED")
    pipeline.ask((_put(1 + number % WITHIN_S, 60) for number in range(DELAYED)), b"INSERTED")
    pipeline.ask([b"use timed\r\n"], b"USING")
    pipeline.ask((_put(0, 1 + number % WITHIN_S) for number in range(RESERVED)), b"INSERTED")
    holder.ask([b"watch timed\r\n", b"ignore default\r\n"], b"WATCHING")
    holder.ask((b"reserve\r\n" for _ in range(RESERVED)), b"RESERVED", BODY)


def _put(delay: int, ttr: int) -> bytes:
    return b"put 0 %d %d %d\r\n%b\r\n" % (delay, ttr, len(BODY), BODY)


@contextmanager
def _churn(server: Running) -> Iterator[None]:
    """Puts and deletes large jobs, so that the log has dead bytes and compaction runs."""
    ended = threading.Event()
    failures: list[BaseException] = []
    thread = threading.Thread(target=_guarded(lambda: _put_and_delete(server, ended), failures))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]


def _guarded(act: Callable[[], None], failures: list[BaseException]) -> Callable[[], None]:
    def run() -> None:
        try:
            act()
        except BaseException as error:
            failures.append(error)

    return run


def _put_and_delete(server: Running, ended: threading.Event) -> None:
    # beanload shares the core with this thread and must come first.
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
    put = b"put 0 0 60 %d\r\n%b\r\n" % (len(LARGE_BODY), LARGE_BODY)
    with Pipeline(server) as pipeline:
        pipeline.ask([b"use large\r\n"], b"USING")
        pipeline.ask([b"watch large\r\n"], b"WATCHING")
        while not ended.is_set():
            pipeline.ask([put] * LARGE_JOBS, b"INSERTED")
            ids = pipeline.reserve(LARGE_JOBS, b"l")
            pipeline.ask((b"delete %d\r\n" % id for id in ids), b"DELETED")


def _wait_for_compaction(pipeline: Pipeline) -> None:
    migrated = pipeline.stats()["binlog-records-migrated"]
    for _ in range(600):
        if pipeline.stats()["binlog-records-migrated"] > migrated:
            return
        threading.Event().wait(0.1)
    raise Inconclusive("compaction did not start within a minute")
