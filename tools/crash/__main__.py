"""python -m crash: rounds of SIGKILL under mixed load."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile

from .daemon import Daemon
from .rounds import Rounds
from .world import Fault


def main() -> int:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(32))
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--directory", help="an empty one, which is kept; a temporary one otherwise")
    chosen = parser.parse_args()
    print(f"--seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="crash.") as scratch, Daemon(chosen.directory or scratch) as daemon:
        try:
            Rounds(daemon, chosen.seed, connections=chosen.connections, say=lambda line: print(line, flush=True)).run(chosen.rounds)
        except Fault as fault:
            print(fault, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
