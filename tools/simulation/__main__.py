"""python -m simulation: scenarios, one after another."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from .scenario import run
from .violation import Violation


def main() -> int:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="of the first scenario; without --seconds, the only one"
    )
    parser.add_argument(
        "--seconds", type=float, help="how long to go on with the next seeds (60 without --seed)"
    )
    chosen = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    seconds = chosen.seconds if chosen.seconds is not None else 60 if chosen.seed is None else 0
    end = time.monotonic() + seconds
    counts: Counter[str] = Counter()
    seed = first
    try:
        while True:
            counts += run(seed)
            if time.monotonic() >= end:
                break
            seed += 1
    except Violation as fault:
        print(fault)
        return 1
    print(
        f"simulation: seeds {first}..{seed}, {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}, ok"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
