"""Which rungs there are, in which lane each runs, and for how long.

Two lanes run at once, so that two cores are used: rungs that live in one process, and rungs of real servers, sockets and disks, which would disturb
each other's timing. The mutants come at the end, alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

MINUTES = 60.0  # of the whole, on two cores
READERS_IN_MEMORY = ("parser", "segments", "commands", "cfiles")


class Rung(NamedTuple):
    """name: of the module; as: what the table calls it. share: of the whole's time. lane: 0 and 1 run at once, 2 afterwards."""

    name: str
    shown: str
    lane: int
    share: float
    more: tuple[str, ...] = ()

    def command(self, seed: int, minutes: float) -> list[str]:
        """For the interpreter."""
        seconds = max(1, round(60 * minutes * self.share))
        return ["-m", self.name, "--seed", str(seed), "--seconds", str(seconds), *self.more]

    def seconds(self, minutes: float) -> float:
        return 60 * minutes * self.share


def _only(readers: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for reader in readers for word in ("--only", reader))


RUNGS = (
    Rung("simulation", "simulation", 0, 0.32),
    Rung("simulation.crashes", "crashes", 0, 0.10),
    Rung("simulation.faults", "faults", 0, 0.08),
    Rung("model", "model", 0, 0.15),
    Rung("fuzz", "fuzz", 0, 0.15, _only(READERS_IN_MEMORY)),
    Rung("crash", "crash", 1, 0.30, ("--rounds", "1000000")),
    Rung("load", "load", 1, 0.20),
    Rung("judge", "judge", 1, 0.15),
    Rung("fuzz", "fuzz, daemon", 1, 0.15, _only(["daemon"])),
    Rung("mutants", "mutants", 2, 0.20, ("--jobs", "2")),
)


def a_seed() -> int:
    return random.SystemRandom().getrandbits(31)
