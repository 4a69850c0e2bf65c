"""Gives memory back to the system when many jobs are gone.

Neither the C library nor Python does this by itself. The C library gives back only the memory above
the last block in use. So after a million jobs of 1000 bytes had been put and deleted, the process
still had a gigabyte.

Giving back stops the loop for 0.1 ms per MB, or up to ten times as long if the jobs were deleted in
random order. So it is done only when both are true:

- There is much to give back: a quarter of the jobs and connections is gone, or the process has
  grown.
- Clients send few commands. Under load, free memory is used again anyway.

The same timer looks for puts that were refused for lack of memory (`memory_refusals`).
"""

import ctypes
import os
from collections.abc import Callable, Collection, Iterable
from typing import Final

from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.queue.model import Client
from beanstalkd_py.queue.state import State
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.memory_refusals import MemoryRefusals

INTERVAL_S: Final = 2.0  # between two calls of `check`
QUIET: Final = 500  # commands between two calls, up to which the server counts as quiet
# The process may grow by so many bytes, and a quarter, before it gives back.
GROWTH_BYTES: Final = 32 << 20
KEPT_BYTES: Final = 16 << 20  # that the C library keeps free at the end of its heap
# From this size on, the C library maps a block separately: a growing body is not copied, and the
# whole block is given back.
MAPPED_BYTES: Final = 1 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """state, connections: their sizes tell how much memory is needed. counts: executed commands, by
    operation. collect: collects garbage. report: called with a line for the operator. resident:
    returns the resident memory in bytes. trim: gives free memory back to the system.
    """

    def __init__(
        self,
        state: State,
        counts: list[int],
        connections: Collection[Connection],
        collect: Callable[[], object],
        report: Report,
        resident: Callable[[], int] | None = None,
        trim: Callable[[], None] | None = None,
    ) -> None:
        self._state = state
        self._counts = counts
        self._connections = connections
        self._collect = collect
        self._resident = resident or resident_bytes
        self._trim = trim or find_malloc_trim()
        self._commands = 0  # until the latest call of `trim_if_due`
        self._most = 0  # jobs and connections since memory was last given back
        self._left = self._resident()  # resident bytes after memory was last given back
        self._refusals = MemoryRefusals(state.memory, report)

    def check(self) -> None:
        """To be called every INTERVAL_S."""
        self._refusals.check(boot_ns())
        self.trim_if_due()

    def end(self) -> None:
        """The server stops."""
        self._refusals.end(boot_ns())

    def trim_if_due(self) -> None:
        """Gives memory back if there is much of it and few commands come."""
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
        """Drops stale entries. Python gives back only whole MiBs, and one small
        object can keep a whole MiB.
        """
        forget_stale(self._state, (connection.session.client for connection in self._connections))
        self._collect()  # a full collection also clears Python's free lists


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


def resident_bytes() -> int:
    """0 without /proc."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0


def find_malloc_trim() -> Callable[[], None]:
    """Returns glibc's malloc_trim(0); a function that does nothing if the C library has none."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return lambda: None
    trim.argtypes = (ctypes.c_size_t,)
    return lambda: trim(0)


def keep_free_heap() -> None:
    """Lets glibc's heap keep KEPT_BYTES free. With its default of 128 kB, the pages of each deleted
    large body were given back, and the next body had to get new pages.

    With bodies of 60 000 bytes that was a sixth of all CPU time. Source: mallopt(3). Setting one of
    the thresholds stops glibc from adjusting the other.

    All threads use one heap. Otherwise glibc reserves 64 MB of address space for each thread, which
    counts under a limit (`ulimit -v`). To be called before the log starts its threads.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BYTES)
        mallopt(_M_ARENA_MAX, 1)
