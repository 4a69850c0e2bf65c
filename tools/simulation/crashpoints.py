"""Fails the power, or kills the process, at every call that the log makes to its disk, at work and
during a start (see `sweep`).
"""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

from .seeds import run_seeds
from .sweep.log_workload import LogWorkload
from .sweep.process import MODES
from .sweep.queue_workload import QueueWorkload

# The modes that the runs of one workload choose from: each mode alone, and all of them.
PLANS = (*((mode,) for mode in MODES), MODES)


def run(seed: int, counts: Counter[str]) -> None:
    """Both workloads in all modes. Raises Violation."""
    rng = Random(seed)
    for plan in PLANS:
        LogWorkload(seed, plan, counts, tries=2).run(runs=5, steps=rng.choice((10, 40, 120)))
        QueueWorkload(seed, plan, counts, tries=2).run(runs=3, steps=rng.choice((10, 40, 120)))


if __name__ == "__main__":
    sys.exit(run_seeds("simulation.crashpoints", __doc__, run))
