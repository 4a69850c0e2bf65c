"""Which rungs there are, in which lane each runs, and for how long.

Two lanes run at once, so that two cores are used: rungs that live in one process, and rungs of real
servers, sockets and disks, which would disturb each other's timing. The tests and the mutants come
at the end, alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

MINUTES = 60.0  # of the whole, on two cores
LOAD_S = 200.0  # the loads in their full size take about twice that
READERS_IN_MEMORY = ("parser", "segments", "commands", "cfiles")


class Rung(NamedTuple):
    """name: of the module; shown: what the table calls it. share: of the whole's time. lane: 0 and
    1 run at once, 2 afterwards.

    takes_s: the shortest time in which the long form has a sense; with less, the words in `short`
    are added. seeded: takes --seed and --seconds.
    """

    name: str
    shown: str
    lane: int
    share: float
    more: tuple[str, ...] = ()
    takes_s: float = 0.0
    short: tuple[str, ...] = ()
    seeded: bool = True

    def command(self, seed: int, minutes: float) -> list[str]:
        """For the interpreter."""
        seconds = self.seconds(minutes)
        length = (
            ("--seed", str(seed), "--seconds", str(max(1, round(seconds)))) if self.seeded else ()
        )
        return [
            "-m",
            self.name,
            *length,
            *self.more,
            *(self.short if seconds < self.takes_s else ()),
        ]

    def seconds(self, minutes: float) -> float:
        return 60 * minutes * self.share


def _only(readers: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for reader in readers for word in ("--only", reader))


RUNGS = (
    Rung("simulation", "simulation", 0, 0.30),
    Rung("simulation.crashpoints", "crashpoints", 0, 0.10),
    Rung("simulation.iofaults", "iofaults", 0, 0.08),
    Rung("model", "model", 0, 0.11),
    Rung("fuzz", "fuzz", 0, 0.14, _only(READERS_IN_MEMORY)),
    Rung("killtest", "killtest", 1, 0.32, ("--rounds", "1000000")),
    Rung("load", "load", 1, 0.12, takes_s=LOAD_S, short=("--short",)),
    Rung("judge", "judge", 1, 0.17),
    Rung("fuzz", "fuzz-daemon", 1, 0.12, _only(["daemon"])),
    Rung("pytest", "tests", 2, 0.07, ("-q", "-n", "4", "--dist", "worksteal"), seeded=False),
    Rung("mutants", "mutants", 2, 0.20, ("--jobs", "2")),
)


def a_seed() -> int:
    return random.SystemRandom().getrandbits(31)
