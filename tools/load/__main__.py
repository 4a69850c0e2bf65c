"""python -m load: many connections, slow ones, storms of them, and what memory does."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time

from killtest.daemon import INSTALLED
from killtest.world import Fault

from .scale import LONG, SHORT, Scale, within
from .scenarios import LOADS, raise_limit, run

LOGS = {"both": (False, True), "with": (True,), "without": (False,)}


def main() -> int:
    chosen = _chosen()
    descriptors = raise_limit()
    scale = within(SHORT if chosen.short else LONG, descriptors)
    print(f"--seed {chosen.seed} --program {chosen.program}; {descriptors} descriptors", flush=True)
    end_at = time.monotonic() + chosen.seconds
    seed, done = chosen.seed, 0
    while True:
        for name, logged in itertools.product(chosen.only or LOADS, LOGS[chosen.log]):
            if not _one(chosen, name, scale, seed, logged):
                return 1
            done += 1
        if time.monotonic() >= end_at:
            break
        seed += 1
    sizes = (
        f"{scale.idle} idle and {scale.busy} busy connections, {scale.cycles} x {scale.jobs} jobs"
    )
    print(f"load: seeds {chosen.seed}..{seed}, {done} loads ({sizes}), ok")
    return 0


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().getrandbits(31),
        help="a random one otherwise",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        help="another seed begins until so many have passed (default: one seed)",
    )
    parser.add_argument("--only", choices=LOADS, action="append", help="this load; may be repeated")
    parser.add_argument(
        "--log",
        choices=LOGS,
        default="both",
        help="whether the server has a log (default: once with it, once without)",
    )
    parser.add_argument("--short", action="store_true", help="little of everything")
    parser.add_argument("--program", default=INSTALLED[0], help="the daemon (default: %(default)s)")
    return parser.parse_args()


def _one(chosen: argparse.Namespace, name: str, scale: Scale, seed: int, logged: bool) -> bool:
    """One load. Whether all was well; it is said."""
    try:
        print(run(name, scale, seed, logged, chosen.program), flush=True)
    except Fault as fault:
        print(fault, file=sys.stderr)
        options = f"--seed {seed} --only {name} --log {'with' if logged else 'without'} --program {chosen.program}{' --short' * chosen.short}"
        print(f"again: PYTHONPATH=.:wal:tools .venv/bin/python -m load {options}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
