"""make mutants: each law broken on purpose, in a copy of the tree. Whoever is named for it must
notice.
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
from .trial import NOTICED, Trials


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().getrandbits(16),
        help="of the order in which they are tried",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=float("inf"),
        help="begin no more after this time (default: try all)",
    )
    parser.add_argument(
        "--only", nargs="+", default=["*"], metavar="NAME", help="these; patterns may be used"
    )
    parser.add_argument(
        "--first",
        action="store_true",
        help="try only the first, quickest of those that must notice",
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many at once")
    parser.add_argument("--list", action="store_true", help="name them all")
    parser.add_argument(
        "--document", action="store_true", help=f"write the table in {document.PAGE}"
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
    give_up_at = time.monotonic() + options.seconds
    with ThreadPoolExecutor(options.jobs) as lanes:
        parts = [chosen[lane :: options.jobs] for lane in range(options.jobs)]
        failures, tried = map(
            sum,
            zip(
                *lanes.map(lambda part: _lane(part, options.first, give_up_at), parts), strict=True
            ),
        )
    print(
        f"mutants: seed {options.seed}, {tried} of {len(MUTANTS)} tried, {failures} not noticed, {'FAILED' if failures or not tried else 'ok'}"
    )
    return 1 if failures or not tried else 0


def _lane(mutants: Sequence[Mutant], first: bool, give_up_at: float) -> tuple[int, int]:
    """How many were not noticed as they should be, and how many were tried. Each lane has a copy of
    its own.
    """
    failures = tried = 0
    with copied() as tree:
        trials = Trials(tree)
        for mutant in mutants:
            if time.monotonic() > give_up_at:
                break
            tried += 1
            verdicts = [
                _told(trials, mutant, command)
                for command in mutant.caught_by[: 1 if first else None]
            ]
            failures += any(verdict != NOTICED for verdict in verdicts)
    return failures, tried


def _told(trials: Trials, mutant: Mutant, command: str) -> str:
    began_at = time.monotonic()
    verdict = trials.verdict(mutant, command)
    took_s = time.monotonic() - began_at
    print(
        f"law {mutant.law or 'C'}, {mutant.name}: {verdict} ({command}, {took_s:.1f} s)", flush=True
    )
    if verdict != NOTICED:
        print(
            f"  expected: {mutant.broken} is noticed\n  again: make mutants ARGUMENTS='--only {mutant.name}'",
            flush=True,
        )
    return verdict


if __name__ == "__main__":
    sys.exit(main())
