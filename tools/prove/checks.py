"""The list of the long-form checks. `make prove`, the Makefile and docs/testing.md follow it.

A test compares the three: the targets and their help in the Makefile, and the table in
docs/testing.md. A new check is one row here, one target there, and one row in the table.

`make prove` runs two lanes at once, one for each of two cores: checks that live in one process,
and checks of real servers, sockets and disks, whose timing other real servers would disturb. The
tests and the mutants run afterwards.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

MINUTES = 60.0  # of `make prove`, on two cores
LOAD_S = 200.0  # the loads in their full size take about twice that
IN_MEMORY = ("parser", "segments", "commands", "cfiles")  # what `fuzz` feeds without a server


class Check(NamedTuple):
    """name: in the table of `make prove`; up to a hyphen, the make target.
    module: what `python -m` runs.
    finds: one line, for `make help` and docs/testing.md.
    share: of the time of `make prove`; 0: `make prove` leaves it out.
    lane: 0 and 1 run at once, 2 afterwards.
    more: further words of the command line.
    full_size_s: if its time is shorter, the words in `short` are added.
    seeded: it takes --seed and --seconds.
    """

    name: str
    module: str
    finds: str
    share: float = 0.0
    lane: int = 0
    more: tuple[str, ...] = ()
    full_size_s: float = 0.0
    short: tuple[str, ...] = ()
    seeded: bool = True

    @property
    def target(self) -> str:
        return self.name.partition("-")[0]

    def command(self, seed: int, minutes: float) -> list[str]:
        """For the interpreter, when `make prove` takes that many minutes."""
        seconds = self.seconds(minutes)
        length = ["--seed", str(seed), "--seconds", str(max(1, round(seconds)))]
        short = self.short if seconds < self.full_size_s else ()
        return ["-m", self.module, *(length if self.seeded else ()), *self.more, *short]

    def seconds(self, minutes: float) -> float:
        return 60 * minutes * self.share


def _only(readers: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for reader in readers for word in ("--only", reader))


CHECKS = (
    Check(
        "simulate",
        "simulation",
        "lost or reordered work: the server on simulated disk, clocks and clients",
        share=0.30,
    ),
    Check(
        "crashpoints",
        "simulation.crashpoints",
        "a call to the disk at which a power cut breaks a promise of the log",
        share=0.10,
    ),
    Check(
        "iofaults",
        "simulation.iofaults",
        "a call to the disk whose failure breaks a promise: EIO, full disk, ...",
        share=0.08,
    ),
    Check(
        "model",
        "model",
        "a rule of the queue that differs from a naive model's (hypothesis)",
        share=0.11,
    ),
    Check(
        "fuzz",
        "fuzz",
        "a parser or file reader that malformed input breaks (ONLY=parser, ...)",
        share=0.14,
        more=_only(IN_MEMORY),
    ),
    Check(
        "killtest",
        "killtest",
        "a job that the installed server loses when it is killed (ROUNDS=)",
        share=0.28,
        lane=1,
        more=("--rounds", "1000000"),
    ),
    Check(
        "killtest-keys",
        "killtest.keys",
        "a unique key that two of thousands of clients get over a kill",
        share=0.04,
        lane=1,
    ),
    Check(
        "load",
        "load",
        "what does not scale to thousands of connections, and memory not given back",
        share=0.12,
        lane=1,
        full_size_s=LOAD_S,
        short=("--short",),
    ),
    Check(
        "judge",
        "judge",
        "a reply that differs from the C server's (needs beanstalkd and a C compiler)",
        share=0.13,
        lane=1,
    ),
    Check(
        "judge-extensions",
        "judge",
        "an extension command that changes a reply to a command of the C server",
        share=0.04,
        lane=1,
        more=("--extensions",),
    ),
    Check(
        "fuzz-daemon",
        "fuzz",
        "malformed input that ends a real server",
        share=0.12,
        lane=1,
        more=_only(["daemon", "requests", "api"]),
    ),
    Check(
        "test",
        "pytest",
        "what is wrong with one part",
        share=0.07,
        lane=2,
        more=("-q", "-n", "4", "--dist", "worksteal"),
        seeded=False,
    ),
    Check(
        "mutants",
        "mutants",
        "an invariant that no test watches: each is broken on purpose in a copy",
        share=0.20,
        lane=2,
        more=("--jobs", "2"),
    ),
    Check("bench", "bench", "what became slower: speed and memory beside the C server"),
)
PROVED = tuple(check for check in CHECKS if check.share)


def a_seed() -> int:
    return random.SystemRandom().getrandbits(31)
