"""The command line of a rung: seeds, one after another, until the time is up; what was counted; and
how to see a failure again.
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


class CpuTimeExceeded(BaseException):
    """Not an Exception: it is raised anywhere, and nobody is to make something else of it."""


@contextmanager
def cpu_limit(cpu_s: float) -> Iterator[None]:
    """Raises CpuTimeExceeded when this process has worked for so long, however slow the machine is."""

    def over(number: int, frame: object) -> None:
        raise CpuTimeExceeded(f"it does not end: {cpu_s:g} s of CPU time were not enough")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def run_seeds(rung: str, about: str, run: Callable[[int, Counter[str]], None]) -> int:
    """The exit status. run(seed, counts) adds to the counts, and raises Violation, or whatever the
    server raised.
    """
    parser = argparse.ArgumentParser(prog=rung, description=about)
    parser.add_argument("--seed", type=int, help="the first; without --seconds, the only one")
    parser.add_argument(
        "--seconds", type=float, help="how long to go on with the next ones (60 without --seed)"
    )
    chosen = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    seconds = chosen.seconds if chosen.seconds is not None else 60 if chosen.seed is None else 0
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    seed = first
    while True:
        try:
            with cpu_limit(SEED_CPU_S):
                run(seed, counts)
        except (Violation, CpuTimeExceeded, Exception) as failure:
            print(failure if isinstance(failure, Violation) else traceback.format_exc())
            print(f"again: PYTHONPATH=.:wal:tools .venv/bin/python -m {rung} --seed {seed}")
            return 1
        if time.monotonic() >= end:
            break
        seed += 1
    print(
        f"{rung}: seeds {first}..{seed}, {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}, ok"
    )
    return 0
