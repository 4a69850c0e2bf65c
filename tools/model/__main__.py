"""python -m model: plays random steps to the queue and the reference model, seed after seed. A
seed decides every step of its plays.
"""

from __future__ import annotations

import sys
from collections import Counter

from simulation.seeds import run_seeds

from .machine import run

PLAYS = 200  # of a seed


def run_seed(seed: int, counts: Counter[str]) -> None:
    plays, steps = run(seed, PLAYS)
    counts.update(plays=plays, steps=steps)


if __name__ == "__main__":
    sys.exit(run_seeds("model", __doc__, run_seed))
