"""Measures start time, memory and disk usage with half a million jobs.

The jobs are put with -F to save time; the log contains the same records. Disk usage is the size of
the directory, including preallocated segments.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from .load import Beanload
from .rows import Goal
from .servers import Subject, running

JOBS = 500_000


class Start(NamedTuple):
    """replayed_per_s: jobs per second from the start of the process to its first reply.

    memory_bytes, disk_bytes: per job.
    """

    replayed_per_s: float
    memory_bytes: float
    disk_bytes: float


class StartRow(NamedTuple):
    name: str
    title: str
    goal: Goal
    metric: str


REST_S = 0.5  # between two looks at the size of the log
START_ROWS = (
    StartRow("start-replay", f"start with {JOBS} jobs", Goal(1.0), "replayed_per_s"),
    StartRow("start-memory", "memory per job", Goal(1.5, at_most=True), "memory_bytes"),
    StartRow("start-disk", "disk per job", Goal(0.7, at_most=True), "disk_bytes"),
)


def measure(beanload: Beanload, subject: Subject, directory: Path, jobs: int = JOBS) -> Start:
    with running(subject, ["-F"], directory) as server:
        beanload.run(server, 50, 0, 50, 1000)
        before = server.resident_bytes()
        beanload.run(server, 50, 0, 50, jobs)
        memory_bytes = (server.resident_bytes() - before) / jobs
        _wait_for_rest(directory)
    disk_bytes = _disk_bytes(directory) / jobs
    started_at = time.monotonic()
    with running(subject, ["-F"], directory):
        return Start(jobs / (time.monotonic() - started_at), memory_bytes, disk_bytes)


def _wait_for_rest(directory: Path) -> None:
    """Waits until the size of the log no longer changes. Its threads may still preallocate, or free
    what is too much.
    """
    sizes = [-1, _disk_bytes(directory)]
    while sizes[-1] != sizes[-2]:
        time.sleep(REST_S)
        sizes.append(_disk_bytes(directory))


def _disk_bytes(directory: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in directory.iterdir())
