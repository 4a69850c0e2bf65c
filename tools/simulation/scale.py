"""Lowers the size from which the queue treats a heap as large. In every other scenario it is nine
entries in place of 4096; otherwise no scenario would sweep a large heap.

May know: the queue's constants. Promises: restores them at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beanstalkd_py.queue import lazyheap, ready

STALE_ALLOWED, LARGE_ENTRIES, JOBS_PER_BUCKET = 3, 8, 2


@contextmanager
def scaled(seed: int) -> Iterator[None]:
    before = lazyheap.STALE_ALLOWED, lazyheap.LARGE_ENTRIES, ready.JOBS_PER_BUCKET
    if seed % 2:
        lazyheap.STALE_ALLOWED = STALE_ALLOWED
        lazyheap.LARGE_ENTRIES = LARGE_ENTRIES
        ready.JOBS_PER_BUCKET = JOBS_PER_BUCKET
    try:
        yield
    finally:
        lazyheap.STALE_ALLOWED, lazyheap.LARGE_ENTRIES, ready.JOBS_PER_BUCKET = before
