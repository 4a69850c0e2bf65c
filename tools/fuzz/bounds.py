"""How much work and memory reading some bytes may take: so much per byte, and a constant.

Work is counted in calls (of Python and C functions), so a limit means the same on every machine;
memory in bytes at the peak, as tracemalloc has it.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CALLS, CALLS_PER_BYTE = 50_000, 10
MEMORY, MEMORY_PER_BYTE = 4 << 20, 20
LOOK = 1024  # calls between two looks at the memory


class TooMuch(BaseException):
    """Not an Exception: nobody in between may think it is his."""


def bounded(nbytes: int, work: Callable[[], T]) -> T:
    """What `work` gives for an input of so many bytes. Raises TooMuch, from within the call that is
    too much if it can.
    """
    calls = CALLS + CALLS_PER_BYTE * nbytes
    memory = MEMORY + MEMORY_PER_BYTE * nbytes
    tracemalloc.start()
    tracemalloc.reset_peak()
    limit = tracemalloc.get_traced_memory()[0] + memory
    try:
        result = _counted(calls, limit, work)
        _look(limit)
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
        if done % LOOK == 0:
            _look(memory)

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        return work()
    finally:
        sys.setprofile(before)


def _look(memory: int) -> None:
    peak = tracemalloc.get_traced_memory()[1]
    if peak > memory:
        raise TooMuch(f"{peak} bytes of memory: {memory} are allowed")
