"""python -m model: plays of the queue against the model server, seed after seed. A seed's number
decides everything in its plays.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from .machine import run

PLAYS = 200  # of a seed


def main() -> int:
    parser = argparse.ArgumentParser(prog="model", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first one; without --seconds, the only one")
    parser.add_argument(
        "--seconds", type=float, help="how long to go on with the next seeds (60 without --seed)"
    )
    parser.add_argument("--steps", type=int, default=50, help="of a play, at most (50)")
    chosen = parser.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    seconds = chosen.seconds if chosen.seconds is not None else 60 if chosen.seed is None else 0
    end = time.monotonic() + seconds
    plays = steps = 0
    seed = first
    while True:
        try:
            counts = run(seed, PLAYS, chosen.steps)
        except BaseException:
            print(
                f"model: seed {seed} fails; again: make model SEED={seed}",
                file=sys.stderr,
                flush=True,
            )
            raise
        plays, steps = plays + counts[0], steps + counts[1]
        if time.monotonic() >= end:
            break
        seed += 1
    print(f"model: seeds {first}..{seed}, {plays} plays, {steps} steps, ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
