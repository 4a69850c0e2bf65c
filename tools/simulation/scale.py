"""Lowers constants in every other scenario, for what no scenario would reach otherwise: a heap is
large from nine entries on, not 4096, and few ids are reserved ahead.

May know: the constants. Promises: restores them at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from beanstalkd_py.binlog import ids
from beanstalkd_py.binlog.usage import NEW_OVERHEAD
from beanstalkd_py.queue import lazyheap, ready

STALE_ALLOWED, LARGE_ENTRIES, JOBS_PER_BUCKET = 3, 8, 2
# The smallest segments reserve 24 ids, fewer than there are puts in one.
SPARE_IDS = 24 - 8192 // NEW_OVERHEAD


@contextmanager
def scaled(seed: int) -> Iterator[None]:
    before = lazyheap.STALE_ALLOWED, lazyheap.LARGE_ENTRIES, ready.JOBS_PER_BUCKET
    spare_ids = ids.SPARE_IDS
    if seed % 2:
        lazyheap.STALE_ALLOWED = STALE_ALLOWED
        lazyheap.LARGE_ENTRIES = LARGE_ENTRIES
        ready.JOBS_PER_BUCKET = JOBS_PER_BUCKET
        ids.SPARE_IDS = SPARE_IDS
    try:
        yield
    finally:
        lazyheap.STALE_ALLOWED, lazyheap.LARGE_ENTRIES, ready.JOBS_PER_BUCKET = before
        ids.SPARE_IDS = spare_ids
