"""Bounds for the work and memory to read an input: a constant plus an amount per byte.

Work is counted in calls of Python and C functions, so the limit is the same on every machine.
Memory is the peak in bytes, measured by tracemalloc.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CALLS, CALLS_PER_BYTE = 50_000, 20
MEMORY, MEMORY_PER_BYTE = 4 << 20, 20
CHECK_EVERY = 1024  # calls between two checks of the memory


class TooMuch(BaseException):
    """A BaseException, so that no reader catches it as its own error."""


def bounded(nbytes: int, work: Callable[[], T]) -> T:
    """The result of `work` for an input of so many bytes.

    Raises TooMuch, if possible within the call that exceeds the bound.
    """
    calls = CALLS + CALLS_PER_BYTE * nbytes
    memory = MEMORY + MEMORY_PER_BYTE * nbytes
    tracemalloc.start()
    tracemalloc.reset_peak()
    limit = tracemalloc.get_traced_memory()[0] + memory
    try:
        result = _counted(calls, limit, work)
        _check_memory(limit)
    finally:
        tracemalloc.stop()
    return result


def unbounded(nbytes: int, work: Callable[[], T]) -> T:
    return work()


def _counted(calls: int, memory: int, work: Callable[[], T]) -> T:
    done = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal done
        done += 1
        if done > calls:
            raise TooMuch(f"more than {calls} calls")
        if done % CHECK_EVERY == 0:
            _check_memory(memory)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return work()
    finally:
        sys.setprofile(before)


def _check_memory(memory: int) -> None:
    peak = tracemalloc.get_traced_memory()[1]
    if peak > memory:
        raise TooMuch(f"{peak} bytes of memory: {memory} are allowed")
