"""The power fails, and the process is killed, at every call that the log makes to its disk, while
it works and while it starts: see `sweep`.
"""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

from .seeds import run_seeds
from .sweep.log_workload import LogWorkload
from .sweep.process import MODES
from .sweep.queue_workload import QueueWorkload

PLANS = (
    *((mode,) for mode in MODES),
    MODES,
)  # the modes of the lives of one run: each for itself, and changing


def run(seed: int, counts: Counter[str]) -> None:
    """Both subjects in all modes. Raises Violation."""
    rng = Random(seed)
    for plan in PLANS:
        LogWorkload(seed, plan, counts, tries=2).run(lives=5, acts=rng.choice((10, 40, 120)))
        QueueWorkload(seed, plan, counts, tries=2).run(lives=3, acts=rng.choice((10, 40, 120)))


if __name__ == "__main__":
    sys.exit(run_seeds("simulation.crashpoints", __doc__, run))
