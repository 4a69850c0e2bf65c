"""python -m crash: the installed daemon under load, killed, started again, audited."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter

from . import cserver
from .daemon import INSTALLED, Daemon
from .lives import ROUNDS, Life


def main() -> int:
    parser = argparse.ArgumentParser(prog="crash", description=__doc__)
    parser.add_argument("--seed", type=int, help="of the first life; a random one otherwise")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"in all; {ROUNDS} are a life, on a directory of its own (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="no round begins after so many")
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--program", default=INSTALLED[0], help="the daemon; beanstalkd-binlog is beside it (default: %(default)s)")
    parser.add_argument("--c-server", default=cserver.installed(), help="whose binlog is taken over (default: %(default)s)")
    chosen = parser.parse_args()
    first = random.SystemRandom().getrandbits(31) if chosen.seed is None else chosen.seed
    print(f"--seed {first} --program {chosen.program}", flush=True)
    end_at = time.monotonic() + chosen.seconds
    seed, left = first, chosen.rounds
    counts: Counter[str] = Counter()
    answers = 0
    while left > 0 and time.monotonic() < end_at:
        directory = tempfile.mkdtemp(prefix="crash.")
        rounds = min(left, ROUNDS)
        try:
            with Daemon(directory, program=(chosen.program,)) as daemon:
                life = Life(daemon, seed, chosen.c_server, chosen.connections, _say)
                life.run(rounds, lambda: time.monotonic() < end_at)
        except Exception as error:
            print(error if isinstance(error, AssertionError) else traceback.format_exc(), file=sys.stderr)
            print(f"the directory is kept: {directory}", file=sys.stderr)
            print(f"again: make crash SEED={seed} ROUNDS={rounds}", file=sys.stderr)
            return 1
        shutil.rmtree(directory)
        counts.update(life.rounds.moments)
        answers += life.rounds.world.answers
        left -= rounds
        seed += 1
    killed = ", ".join(f"{count} x {name}" for name, count in sorted(counts.items()))
    print(f"crash: seeds {first}..{seed - 1}, {chosen.rounds - left} rounds, killed at {killed}, {answers} answers, ok")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
