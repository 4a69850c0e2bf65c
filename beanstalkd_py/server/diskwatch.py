"""Tells the operator about calls to the disk that take long. Without it, a sync that hangs shows
only as clients that wait.

`DiskWatch` knows the calls that are under way. It reports a call that has taken a second, and how
long it took. After such a pair of lines the next calls are only counted for a minute, so a slow
disk does not fill the operator's log. `WatchedFileSystem` tells the watch of the log's calls.

A thread of its own calls `check`, because the loop itself may wait in a sync. Only `check` reports,
and without the lock: replies must not wait until an operator's terminal takes a line.
"""

import os
import threading
import time
from collections.abc import Callable
from threading import get_ident

import beanstalkd_wal as wal

from beanstalkd_py.host.events import Field, Report

SECOND_NS = 1_000_000_000
LIMIT_NS = SECOND_NS  # a call that takes longer is slow
QUIET_NS = 60 * SECOND_NS  # after a slow call
CLOSE_S = 1.0


def open_file(handle: int) -> str:
    """The name of an open file."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")
    except OSError:
        return "a file of the log"


# A line for the operator: message, event, fields.
Line = tuple[str, str, dict[str, Field]]
Call = tuple[int, str, int]  # begin, what, handle; a NamedTuple would take 0.3 us more


class DiskWatch:
    """report: called with a line for the operator, by `check`. now: monotonic time, in ns.
    file_of: the name of an open file.
    """

    def __init__(
        self,
        report: Report,
        now: Callable[[], int] = time.monotonic_ns,
        file_of: Callable[[int], str] = open_file,
    ) -> None:
        self._report = report
        self._now = now
        self._file_of = file_of
        self._calls: dict[int, Call] = {}  # by thread: each makes one call at a time
        self._lock = threading.Lock()  # for what follows; fast calls do not take it
        self._reported: set[int] = set()  # threads whose call was reported
        self._quiet_until = 0
        self._missed = 0  # slow calls without a line
        self._longest_ns = 0  # of these
        self._lines: list[Line] = []  # for the operator
        self._wake = threading.Event()  # there is a line: `check` is due
        self._thread: threading.Thread | None = None
        self._closed = False
        # Called with what a call did, and how long it took in ns, by any thread.
        self.observe: Callable[[str, int], None] | None = None

    def begin(self, what: str, handle: int) -> None:
        """The calling thread begins a call."""
        self._calls[get_ident()] = (self._now(), what, handle)

    def end(self) -> None:
        """The call of the calling thread has returned or failed."""
        thread = get_ident()
        call = self._calls.pop(thread)
        now = self._now()
        if self.observe is not None:
            self.observe(call[1], now - call[0])
        if now - call[0] >= LIMIT_NS:
            with self._lock:
                self._ended(thread, call, now)

    def _ended(self, thread: int, call: Call, now: int) -> None:
        began_at, what, _ = call
        took_ns = now - began_at
        if thread in self._reported or now >= self._quiet_until:
            self._reported.discard(thread)
            self._quiet_until = now + QUIET_NS
            self._add(f"the {what} took {_seconds(took_ns)}", "slow_call_ended", call, took_ns)
            self._wake.set()
        else:
            self._missed += 1
            self._longest_ns = max(self._longest_ns, took_ns)

    def check(self) -> int:
        """Reports what is due. Returns when the next check is due, in ns from now."""
        self._wake.clear()
        with self._lock:
            wait_ns = self._look(self._now())
            lines, self._lines = self._lines, []
        for message, event, fields in lines:
            self._report(message, event=event, **fields)
        return wait_ns

    def _look(self, now: int) -> int:
        """Adds lines about calls under way and about missed ones. Returns what `check` does."""
        if self._missed and (now >= self._quiet_until or self._closed):
            self._add_missed()
        wait_ns = LIMIT_NS
        for thread, call in list(self._calls.items()):
            left_ns = call[0] + LIMIT_NS - now
            if left_ns > 0:
                wait_ns = min(wait_ns, left_ns)
            elif now >= self._quiet_until and thread not in self._reported:
                self._add_slow(thread, call, now)
        return wait_ns

    def _add_slow(self, thread: int, call: Call, now: int) -> None:
        took_ns = now - call[0]
        self._reported.add(thread)
        self._quiet_until = now + QUIET_NS
        self._add(
            f"a {call[1]} has not returned for {_seconds(took_ns)}, and clients may wait for it; "
            "check the disk",
            "slow_call",
            call,
            took_ns,
        )

    def _add(self, text: str, event: str, call: Call, took_ns: int) -> None:
        _, what, handle = call
        file = self._file_of(handle)
        fields: dict[str, Field] = {
            "file": file,
            "call": what,
            "seconds": round(took_ns / SECOND_NS, 3),
        }
        self._lines.append((f"{file}: {text}", event, fields))

    def _add_missed(self) -> None:
        calls = "call" if self._missed == 1 else "calls"
        text = (
            f"{self._missed} more {calls} to the disk took over {_seconds(LIMIT_NS)} within a "
            f"minute, the longest {_seconds(self._longest_ns)}"
        )
        fields: dict[str, Field] = {
            "count": self._missed,
            "longest": round(self._longest_ns / SECOND_NS, 3),
        }
        self._lines.append((text, "slow_calls", fields))
        self._missed = self._longest_ns = 0

    def start(self) -> None:
        """Begins to check, on a thread of its own. Raises wal.NoThread."""
        thread = threading.Thread(target=self._run, name="disk-watch", daemon=True)
        wal.start_thread(thread)
        self._thread = thread

    def close(self) -> None:
        """Reports the lines that are left, before the process ends. Waits for a second at most: a
        full terminal must not keep the process.
        """
        self._closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)
        else:
            self.check()

    def _run(self) -> None:
        wait_ns = 0
        while not self._closed:
            self._wake.wait(wait_ns / SECOND_NS)
            wait_ns = self.check()
        self.check()


class WatchedFileSystem(wal.FileSystem):
    """The calls that wait for the disk, watched."""

    def __init__(self, watch: DiskWatch) -> None:
        super().__init__()
        self._watch = watch

    def sync(self, handle: int) -> None:
        self._watch.begin("sync", handle)
        try:
            super().sync(handle)
        finally:
            self._watch.end()

    def sync_directory(self, handle: int) -> bool:
        self._watch.begin("sync", handle)
        try:
            return super().sync_directory(handle)
        finally:
            self._watch.end()

    def write(self, handle: int, data: bytes, offset: int) -> None:
        self._watch.begin("write", handle)
        try:
            super().write(handle, data, offset)
        finally:
            self._watch.end()

    def truncate(self, handle: int, nbytes: int) -> None:
        self._watch.begin("truncation", handle)
        try:
            super().truncate(handle, nbytes)
        finally:
            self._watch.end()


def _seconds(ns: int) -> str:
    return f"{ns / SECOND_NS:.1f} s"
