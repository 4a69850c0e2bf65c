"""One lane: rungs one after the other, each a process, and what became of it.

May know: processes. Promises: a rung that fails or hangs does not keep the next from running; all
that it said is shown when it failed; nothing that a rung started outlives it, nor the whole.
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

from .rungs import Rung

# a rung may end so much later than it was told: a seed that has begun is ended, servers are stopped
LATE_S = 900.0
GRACE_S = 10.0  # from SIGINT, so that it says where it was and removes what it made, to SIGKILL
AGAIN = "again: "  # stands before the command that does a failure again


class Outcome(NamedTuple):
    """summary: the last line that it printed. again: the command that shows a failure once more.
    seconds: how long it took.
    """

    rung: Rung
    ok: bool
    seconds: float
    summary: str
    again: str


class Ended(Exception):
    """Nothing more is to run."""


class Processes:
    """Those that run now, each in a group of its own, so that no server is left behind."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._over = False

    def run(self, arguments: Sequence[str], patience_s: float) -> tuple[int, str]:
        """Status and output, together. Raises Ended."""
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
                env={
                    **os.environ,
                    "PYTHONUNBUFFERED": "1",
                },  # what was said is there, and in order, however it ends
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
    rungs: Sequence[Rung],
    seed: int,
    minutes: float,
    say: Callable[[str], None],
    processes: Processes,
) -> list[Outcome]:
    """Raises Ended."""
    return [_run(rung, seed, minutes, say, processes) for rung in rungs]


def _run(
    rung: Rung, seed: int, minutes: float, say: Callable[[str], None], processes: Processes
) -> Outcome:
    arguments = rung.command(seed, minutes)
    say(f"{rung.shown}: python {' '.join(arguments)}")
    began_at = time.monotonic()
    status, said = processes.run(arguments, rung.seconds(minutes) + LATE_S)
    took_s = time.monotonic() - began_at
    lines = said.strip().splitlines() or ["(it said nothing)"]
    if status:
        say(
            "\n".join(
                [
                    f"{rung.shown}: FAILED with {status} after {took_s:.0f} s",
                    *(f"    {line}" for line in lines),
                ]
            )
        )
    else:
        say(f"{rung.shown}: {lines[-1]}")
    return Outcome(rung, status == 0, took_s, lines[-1], _again(lines, arguments))


def _again(lines: Sequence[str], arguments: Sequence[str]) -> str:
    """What it said itself is only what failed; all of it otherwise."""
    told = [line.partition(AGAIN)[2] for line in lines if AGAIN in line]
    return told[-1] if told else f"PYTHONPATH=.:wal:tools .venv/bin/python {' '.join(arguments)}"
