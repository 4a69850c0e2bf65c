"""python -m load: many connections, slow ones, storms of them, and what memory does."""

from __future__ import annotations

import argparse
import random
import sys
import time

from crash.daemon import INSTALLED
from crash.world import Fault

from .scale import LONG, SHORT, within
from .scenarios import LOADS, raise_limit, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="load", description=__doc__)
    parser.add_argument("--seed", type=int, help="a random one otherwise")
    parser.add_argument("--seconds", type=float, default=0.0, help="another seed begins until so many have passed (default: one seed)")
    parser.add_argument("--only", choices=LOADS, action="append", help="this load; may be repeated")
    parser.add_argument("--log", choices=("with", "without"), help="the server has a log, or none (default: once each)")
    parser.add_argument("--short", action="store_true", help="little of everything")
    parser.add_argument("--program", default=INSTALLED[0], help="the daemon (default: %(default)s)")
    chosen = parser.parse_args()
    first = random.SystemRandom().getrandbits(31) if chosen.seed is None else chosen.seed
    descriptors = raise_limit()
    scale = within(SHORT if chosen.short else LONG, descriptors)
    print(f"--seed {first} --program {chosen.program}; {descriptors} descriptors", flush=True)
    end_at = time.monotonic() + chosen.seconds
    seed, done = first, 0
    while True:
        for name in chosen.only or LOADS:
            for logged in (False, True):
                if chosen.log in (None, "with" if logged else "without"):
                    try:
                        print(f"{run(name, scale, seed, logged, chosen.program)}", flush=True)
                    except Fault as fault:
                        print(fault, file=sys.stderr)
                        short = " --short" if chosen.short else ""
                        again = f"--seed {seed} --only {name} --log {'with' if logged else 'without'}{short}"
                        print(f"again: PYTHONPATH=.:tools .venv/bin/python -m load {again}", file=sys.stderr)
                        return 1
                    done += 1
        if time.monotonic() >= end_at:
            break
        seed += 1
    sizes = f"{scale.idle} idle and {scale.busy} busy connections, {scale.cycles} x {scale.jobs} jobs"
    print(f"load: seeds {first}..{seed}, {done} loads ({sizes}), ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
