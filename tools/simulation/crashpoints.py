"""The power fails, and the process is killed, at every call that the log makes to its disk, while
it works and while it starts: see `sweep`.
"""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

from .seeds import work_through
from .sweep.loglife import LogLife
from .sweep.process import MODES
from .sweep.queuelife import QueueLife

PLANS = (
    *((mode,) for mode in MODES),
    MODES,
)  # the modes of the lives of one run: each for itself, and changing


def run(seed: int, counts: Counter[str]) -> None:
    """Both subjects in all modes. Raises Wrong."""
    dice = Random(seed)
    for plan in PLANS:
        LogLife(seed, plan, counts, tries=2).run(lives=5, acts=dice.choice((10, 40, 120)))
        QueueLife(seed, plan, counts, tries=2).run(lives=3, acts=dice.choice((10, 40, 120)))


if __name__ == "__main__":
    sys.exit(work_through("simulation.crashpoints", __doc__, run))
