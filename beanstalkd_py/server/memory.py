"""Gives memory back to the system when many jobs are gone.

Neither the C library nor Python does so alone. The C library gives back only what lies above the
last block in use, and a dict keeps the table of its largest size: a million jobs of 1000 bytes that
had come and gone left a gigabyte. Giving back stops the loop for 0.1 ms per MB, or for up to ten
times that if the jobs went in random order. So it is done when there is much to give (a quarter of
the jobs and connections is gone, or the process has grown) and clients send few commands: under
load, free memory is used again anyway.
"""

import ctypes
import os
import sys
from collections.abc import Callable, Collection, Iterable

from beanstalkd_py.queue.model import Client, Job
from beanstalkd_py.queue.state import State
from beanstalkd_py.server.connection import Connection

LOOK_S = 2.0  # between two calls of `look`
QUIET = 500  # commands between two calls: the server is quiet
GROWTH_BYTES = 32 << 20  # the process may grow by so much, and a quarter, before it gives back
# For each job in a dict; a table that has more is mostly empty (a full one has 24 to 100).
TABLE_BYTES = 400
SMALL_TABLE_BYTES = 1 << 20
KEPT_BYTES = 16 << 20  # that the C library keeps free at the end of its heap
# From this size on a block has pages of its own: a body that grows is not copied, and all of it is
# given back.
MAPPED_BYTES = 1 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """state, connections: what memory is used for. counts: commands so far, by command. collect:
    frees cycles of garbage. resident: returns how much memory the process has, in bytes. trim:
    gives back what is free.
    """

    def __init__(
        self,
        state: State,
        counts: list[int],
        connections: Collection[Connection],
        collect: Callable[[], object],
        resident: Callable[[], int] | None = None,
        trim: Callable[[], None] | None = None,
    ) -> None:
        self._state = state
        self._counts = counts
        self._connections = connections
        self._collect = collect
        self._resident = resident or resident_bytes
        self._trim = trim or trim_of_c()
        self._commands = 0  # up to the last look
        self._most = 0  # jobs and connections since memory was last given back
        self._left = self._resident()  # bytes after that

    def look(self) -> None:
        """To be called every LOOK_S."""
        jobs = self._state.jobs
        here = len(jobs) + len(self._connections)
        self._most = max(self._most, here)
        before, self._commands = self._commands, sum(self._counts)
        if self._commands - before > QUIET:
            return
        self._collect()
        if (
            4 * here < 3 * self._most
            or self._resident() > self._left + self._left // 4 + GROWTH_BYTES
        ):
            self._forget()
            self._trim()
            self._most = here
            self._left = self._resident()

    def _forget(self) -> None:
        """Drops stale entries and empty tables: Python gives back only whole MiBs, and each such
        object may keep one.
        """
        shrink(self._state.jobs)
        forget_stale(self._state, (connection.session.client for connection in self._connections))
        self._collect()  # also empties Python's lists of objects that it keeps for reuse


def forget_stale(state: State, clients: Iterable[Client]) -> None:
    """Clears heaps that hold nothing but stale entries."""
    for tube in state.tube_list:
        if not tube.ready_count:
            tube.ready.clear()
        if not tube.delayed_count:
            tube.delayed.clear()
    for client in clients:
        if not client.reserved:
            client.deadlines.clear()


def shrink(jobs: dict[int, Job]) -> None:
    """Makes a smaller table if the dict has held many more. The dict object stays the same."""
    if sys.getsizeof(jobs) > SMALL_TABLE_BYTES + TABLE_BYTES * len(jobs):
        items = list(jobs.items())
        jobs.clear()
        jobs.update(items)


def resident_bytes() -> int:
    """0 without /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def trim_of_c() -> Callable[[], None]:
    """glibc's malloc_trim; nothing where there is none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return lambda: None
    trim.argtypes = (ctypes.c_size_t,)
    return lambda: trim(0)


def keep_free_heap() -> None:
    """Lets glibc's heap keep KEPT_BYTES free. Its default is 128 kB: each large body that is gone
    was given back, and its pages taken again for the next one.

    With bodies of 60 000 bytes that was a sixth of all CPU time. Source: mallopt(3); setting one
    threshold also fixes the other one.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
