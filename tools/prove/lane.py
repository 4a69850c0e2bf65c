"""One lane: rungs one after the other, each a process, and what became of it.

May know: processes. Promises: a rung that fails or hangs does not keep the next from running; what it said is shown when it failed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .rungs import Rung

LATE_S = 900.0  # a rung may end so much later than it was told: a seed that has begun is ended, servers are stopped
SAID_LINES = 60  # of a rung that failed


class Outcome(NamedTuple):
    """summary: the last line that it printed. seconds: how long it took."""

    rung: Rung
    ok: bool
    seconds: float
    summary: str
    command: str


def run(rungs: Sequence[Rung], seed: int, minutes: float, say: Callable[[str], None]) -> list[Outcome]:
    return [_run(rung, seed, minutes, say) for rung in rungs]


def _run(rung: Rung, seed: int, minutes: float, say: Callable[[str], None]) -> Outcome:
    arguments = rung.command(seed, minutes)
    command = " ".join(["python", *arguments])
    say(f"{rung.shown}: {command}")
    began_at = time.monotonic()
    status, said = _process(arguments, rung.seconds(minutes) + LATE_S)
    took_s = time.monotonic() - began_at
    lines = said.strip().splitlines() or ["(it said nothing)"]
    if status:
        say("\n".join([f"{rung.shown}: FAILED with {status} after {took_s:.0f} s", *(f"    {line}" for line in lines[-SAID_LINES:])]))
    else:
        say(f"{rung.shown}: {lines[-1]}")
    return Outcome(rung, status == 0, took_s, lines[-1], command)


def _process(arguments: Sequence[str], patience_s: float) -> tuple[int, str]:
    """Status and output. In a group of its own, so that no server is left behind when it hangs."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        return -1, f"{said}\nit did not end within {patience_s:.0f} s"
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, said
