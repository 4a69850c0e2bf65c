"""The command line of a check that runs seed after seed until the time is over. It prints the
counts at the end, or the failure with the command that repeats it.
"""

from __future__ import annotations

import argparse
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .violation import Violation

SEED_CPU_S = 300.0  # thirty times what a seed takes
AGAIN = "again: "  # the command that repeats a failure follows


class CpuTimeExceeded(BaseException):
    """Not an Exception: it can be raised anywhere, and no handler of the server may catch it."""


@contextmanager
def cpu_limit(cpu_s: float) -> Iterator[None]:
    """Raises CpuTimeExceeded after so much CPU time. Other load on the machine does not count."""

    def over(number: int, frame: object) -> None:
        raise CpuTimeExceeded(f"it does not end: {cpu_s:g} s of CPU time were not enough")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run_seeds(check: str, about: str, run: Callable[[int, Counter[str]], None]) -> int:
    """Returns the exit status. run(seed, counts) adds to the counts and raises Violation, or
    whatever the server raised. check: the name of its module.
    """
    first, seconds = _arguments(check, about)
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    seed = first
    while True:
        try:
            with cpu_limit(SEED_CPU_S):
                run(seed, counts)
        except (Violation, CpuTimeExceeded, Exception) as failure:
            _print_failure(failure, f"-m {check} --seed {seed}")
            return 1
        if time.monotonic() >= end:
            break
        seed += 1
    totals = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    print(f"{check}: seeds {first}..{seed}, {totals}, ok")
    return 0


def _arguments(check: str, about: str) -> tuple[int, float]:
    """The first seed, and for how many seconds to go on."""
    parser = argparse.ArgumentParser(prog=check, description=about)
    parser.add_argument("--seed", type=int, help="the first; without --seconds, the only one")
    parser.add_argument(
        "--seconds", type=float, help="how long to go on with the next seeds (60 without --seed)"
    )
    chosen = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    if chosen.seconds is not None:
        return first, chosen.seconds
    return first, 60.0 if chosen.seed is None else 0.0


def _print_failure(failure: BaseException, arguments: str) -> None:
    text = str(failure) if isinstance(failure, Violation) else traceback.format_exc()
    print(text)
    if f"\n{AGAIN}" not in text:
        print(f"{AGAIN}PYTHONPATH=.:wal:tools .venv/bin/python {arguments}")
