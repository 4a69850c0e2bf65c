"""python -m load: many connections, slow clients, connection churn, and memory use."""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import time

from killtest.fault import Fault
from testkit.daemon import INSTALLED

from .scale import LONG, SHORT, Scale, within
from .scenarios import LOADS, raise_limit, run

LOGS = {"both": (False, True), "with": (True,), "without": (False,)}


def main() -> int:
    chosen = _chosen()
    descriptors = raise_limit()
    scale = within(SHORT if chosen.short else LONG, descriptors)
    print(f"--seed {chosen.seed} --program {chosen.program}; {descriptors} descriptors", flush=True)
    deadline = time.monotonic() + chosen.seconds
    seed, done = chosen.seed, 0
    while True:
        for name, with_log in itertools.product(chosen.only or LOADS, LOGS[chosen.log]):
            if not _one(chosen, name, scale, seed, with_log):
                return 1
            done += 1
        if time.monotonic() >= deadline:
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
        help="default: random",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=0.0,
        help="start further seeds until this time has passed (default: one seed)",
    )
    parser.add_argument(
        "--only", choices=LOADS, action="append", help="run this load only; may be repeated"
    )
    parser.add_argument(
        "--log",
        choices=LOGS,
        default="both",
        help="run the server with a log, without, or both (default: %(default)s)",
    )
    parser.add_argument("--short", action="store_true", help="use small numbers")
    parser.add_argument("--program", default=INSTALLED[0], help="the daemon (default: %(default)s)")
    return parser.parse_args()


def _one(chosen: argparse.Namespace, name: str, scale: Scale, seed: int, with_log: bool) -> bool:
    """Runs one load and prints the result. Returns False after a Fault."""
    try:
        print(run(name, scale, seed, with_log, chosen.program), flush=True)
    except Fault as fault:
        print(fault, file=sys.stderr)
        log = "with" if with_log else "without"
        options = f"--seed {seed} --only {name} --log {log} --program {chosen.program}"
        options += " --short" * chosen.short
        command = f"PYTHONPATH=.:wal:tools .venv/bin/python -m load {options}"
        print(f"repeat: {command}", file=sys.stderr)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
