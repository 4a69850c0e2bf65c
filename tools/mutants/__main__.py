"""make mutants: break each invariant on purpose, in a copy of the tree. The named checks must
detect it.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch

from . import document
from .catalogue import MUTANTS
from .mutant import Mutant
from .tree import ROOT, copied
from .trial import DETECTED, Trials


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().getrandbits(16),
        help="seed of the order in which mutants are tried",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="start no further mutant after this time (default: try all)",
    )
    parser.add_argument(
        "--only", nargs="+", default=["*"], metavar="NAME", help="names or patterns of mutants"
    )
    parser.add_argument(
        "--first",
        action="store_true",
        help="run only the first and fastest command of each mutant",
    )
    parser.add_argument("--jobs", type=int, default=1, help="number of parallel jobs")
    parser.add_argument("--list", action="store_true", help="list all names")
    parser.add_argument(
        "--document", action="store_true", help=f"write the table in {document.PAGE} and stop"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if options.document:
        document.write(ROOT, MUTANTS)
        return 0
    chosen = [
        mutant
        for mutant in MUTANTS
        if any(fnmatch(mutant.name, pattern) for pattern in options.only)
    ]
    if options.list:
        print("\n".join(mutant.name for mutant in chosen))
        return 0
    random.Random(options.seed).shuffle(chosen)
    deadline = time.monotonic() + options.seconds
    with ThreadPoolExecutor(options.jobs) as lanes:
        parts = [chosen[lane :: options.jobs] for lane in range(options.jobs)]
        failures, tried = map(
            sum,
            zip(*lanes.map(lambda part: _lane(part, options.first, deadline), parts), strict=True),
        )
    failed = failures or not tried
    print(
        f"mutants: seed {options.seed}, {tried} of {len(MUTANTS)} tried, {failures} not detected, "
        f"{'FAILED' if failed else 'ok'}"
    )
    return 1 if failed else 0


def _lane(mutants: Sequence[Mutant], first: bool, deadline: float) -> tuple[int, int]:
    """Returns how many mutants were not detected, and how many were tried.

    Each lane has a copy of the tree.
    """
    failures = tried = 0
    with copied() as tree:
        trials = Trials(tree)
        for mutant in mutants:
            if time.monotonic() > deadline:
                break
            tried += 1
            verdicts = [
                _report(trials, mutant, command)
                for command in mutant.caught_by[: 1 if first else None]
            ]
            failures += any(verdict != DETECTED for verdict in verdicts)
    return failures, tried


def _report(trials: Trials, mutant: Mutant, command: str) -> str:
    began_at = time.monotonic()
    verdict = trials.verdict(mutant, command)
    took_s = time.monotonic() - began_at
    print(
        f"{mutant.invariant.value}: {mutant.name}: {verdict} ({command}, {took_s:.1f} s)",
        flush=True,
    )
    if verdict != DETECTED:
        print(
            f"  expected: a check detects that {mutant.broken}\n"
            f"  repeat: make mutants ARGUMENTS='--only {mutant.name}'",
            flush=True,
        )
    return verdict


if __name__ == "__main__":
    sys.exit(main())
