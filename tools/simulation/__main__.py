"""python -m simulation: scenarios, one after another; and two servers on one directory."""

from __future__ import annotations

import sys
from collections import Counter

from . import scenario, second_writer
from .seeds import run_seeds


def run(seed: int, counts: Counter[str]) -> None:
    counts += scenario.run(seed)
    second_writer.run(seed, counts)


if __name__ == "__main__":
    sys.exit(run_seeds("simulation", __doc__, run))
