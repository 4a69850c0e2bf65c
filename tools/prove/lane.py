"""One lane: runs its checks one after another, each in a process, and collects the outcomes.

May know: processes. Promises: after a check that failed or hung, the next one runs. The whole
output of a failed check is shown. No process that a check started outlives the check.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from .checks import Check

# A check may end later than its time by this: it finishes the seed it has begun, and the machine
# may be slow. The limit is there to end a hang.
LATE_S = 3600.0
# From SIGINT to SIGKILL. After SIGINT a check prints its seed and removes its files.
GRACE_S = 10.0
AGAIN = "again: "  # precedes the command that repeats a failure


class Outcome(NamedTuple):
    """seconds: how long the check took.
    summary: the last line that it printed.
    again: the command that repeats the failure.
    """

    check: Check
    ok: bool
    seconds: float
    summary: str
    again: str


class Ended(Exception):
    """All checks are to end."""


class Processes:
    """The running checks. Each has a process group, so that its servers can be ended too."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(self, arguments: Sequence[str], patience_s: float) -> tuple[int, str]:
        """Returns the status and the output (stdout and stderr together). Raises Ended."""
        process = self._begin(arguments)
        try:
            said, _ = process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            _end(process)
            said, _ = process.communicate()
            return -1, f"{said}\nit did not end within {patience_s:.0f} s"
        finally:
            self._running.discard(process)
        if self._over:
            raise Ended
        return process.returncode, said

    def end(self) -> None:
        """From any thread."""
        with self._lock:
            self._over = True
        for process in list(self._running):
            _end(process)

    def _begin(self, arguments: Sequence[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self._over:
                raise Ended
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, "PYTHONUNBUFFERED": "1"},  # all output is there after a kill
                start_new_session=True,
            )
            self._running.add(process)
            return process


def _end(process: subprocess.Popen[str]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)


def run(
    checks: Sequence[Check],
    seed: int,
    minutes: float,
    say: Callable[[str], None],
    processes: Processes,
) -> list[Outcome]:
    """Raises Ended."""
    return [_run(check, seed, minutes, say, processes) for check in checks]


def _run(
    check: Check, seed: int, minutes: float, say: Callable[[str], None], processes: Processes
) -> Outcome:
    arguments = check.command(seed, minutes)
    say(f"{check.name}: python {' '.join(arguments)}")
    began_at = time.monotonic()
    status, said = processes.run(arguments, check.seconds(minutes) + LATE_S)
    took_s = time.monotonic() - began_at
    lines = said.strip().splitlines() or ["(no output)"]
    if status:
        failed = f"{check.name}: FAILED with {status} after {took_s:.0f} s"
        say("\n".join([failed, *(f"    {line}" for line in lines)]))
    else:
        say(f"{check.name}: {lines[-1]}")
    return Outcome(check, status == 0, took_s, lines[-1], _again(lines, arguments))


def _again(lines: Sequence[str], arguments: Sequence[str]) -> str:
    """What the check printed repeats the failed part only; otherwise, the whole check."""
    told = [line.partition(AGAIN)[2] for line in lines if AGAIN in line]
    return told[-1] if told else f"PYTHONPATH=.:wal:tools .venv/bin/python {' '.join(arguments)}"
