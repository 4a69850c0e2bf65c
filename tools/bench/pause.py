"""Puts while all that could make a server pause goes on: three million jobs held, delays and TTRs
that end by the thousand in each second, segments that rotate, compaction. The slowest puts are to
stay within ten times the median.

It is void (Void) when one of those did not happen: a quiet server has no pauses.
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
WITHIN_S = 100  # delays and TTRs end one after another in this time
PUTS = 100_000
CONNECTIONS = 50
BODY = b"b" * 100
LARGE_BODY = b"l" * 60_000
AT_ONCE = 4  # large jobs
LAST = 19  # of priorities
GOAL = Goal(10, at_most=True)
NAME, TITLE = "pause", f"no pause: p99.9 of put / p50, -b -f0, {CONNECTIONS} x 1, {HELD} jobs held"
# What must have happened at least so often during the measurement.
EVENTS = {"job-timeouts": 1000, "binlog-records-migrated": 1000, "binlog-current-index": 2}


class Void(Exception):
    """What should have disturbed the server did not happen."""


class Pauses(NamedTuple):
    """samples: one for each run. events: how often each of EVENTS happened in all of them."""

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
        raise Void(f"{events} where at least {EVENTS} were wanted")
    return Pauses(samples, events)


def _runs(beanload: Beanload, server: Running, pipeline: Pipeline, runs: int) -> Iterator[Sample]:
    """Each begins while compaction works: it rests when there is little to gain."""
    for _ in range(runs):
        _until_compaction_runs(pipeline)
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
    """Large jobs come and go: what they leave behind in the log calls for compaction."""
    ended = threading.Event()
    failures: list[BaseException] = []
    thread = threading.Thread(target=_guarded(lambda: _come_and_go(server, ended), failures))
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


def _come_and_go(server: Running, ended: threading.Event) -> None:
    os.setpriority(
        os.PRIO_PROCESS, threading.get_native_id(), LAST
    )  # the load that is measured shares the core
    put = b"put 0 0 60 %d\r\n%b\r\n" % (len(LARGE_BODY), LARGE_BODY)
    with Pipeline(server) as pipeline:
        pipeline.ask([b"use large\r\n"], b"USING")
        pipeline.ask([b"watch large\r\n"], b"WATCHING")
        while not ended.is_set():
            pipeline.ask([put] * AT_ONCE, b"INSERTED")
            ids = pipeline.reserve(AT_ONCE, b"l")
            pipeline.ask((b"delete %d\r\n" % id for id in ids), b"DELETED")


def _until_compaction_runs(pipeline: Pipeline) -> None:
    migrated = pipeline.stats()["binlog-records-migrated"]
    for _ in range(600):
        if pipeline.stats()["binlog-records-migrated"] > migrated:
            return
        threading.Event().wait(0.1)
    raise Void("compaction did not begin within a minute")
