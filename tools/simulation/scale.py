"""Lowers the size from which the queue treats a heap as large. In every other scenario it is nine
entries in place of 4096; otherwise no scenario would sweep a large heap.

May know: the queue's constants. Promises: restores them at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beanstalkd_py.queue import model as jobs
from beanstalkd_py.queue import state

SLACK, AT_ONCE, READY_FOR_LINE = 3, 8, 2


@contextmanager
def scaled(seed: int) -> Iterator[None]:
    before = jobs.SLACK, jobs.AT_ONCE, jobs.READY_FOR_LINE
    if seed % 2:
        jobs.SLACK = state.SLACK = SLACK  # type: ignore[attr-defined]
        jobs.AT_ONCE = AT_ONCE
        jobs.READY_FOR_LINE = READY_FOR_LINE
    try:
        yield
    finally:
        jobs.SLACK, jobs.AT_ONCE, jobs.READY_FOR_LINE = before
        state.SLACK = jobs.SLACK  # type: ignore[attr-defined]
