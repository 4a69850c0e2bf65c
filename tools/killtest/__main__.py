"""python -m killtest: the installed daemon under load, killed, started again, audited."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter

from testkit.c_server import find_c_server
from testkit.daemon import INSTALLED, Daemon

from .lives import ROUNDS, Life


def main() -> int:
    chosen = _chosen()
    print(f"--seed {chosen.seed} --program {chosen.program}", flush=True)
    end_at = float("inf") if chosen.seconds is None else time.monotonic() + chosen.seconds
    seed, left = chosen.seed, chosen.rounds or (ROUNDS if chosen.seconds is None else sys.maxsize)
    moments: Counter[str] = Counter()
    rounds = answers = 0
    while left > 0 and (seed == chosen.seed or time.monotonic() < end_at):
        planned = min(left, ROUNDS)
        life = _live(chosen, seed, planned, end_at)
        if life is None:
            return 1
        moments.update(life.rounds.moments)
        answers += life.rounds.world.answers
        rounds += life.rounds.number
        left -= planned
        seed += 1
    killed = ", ".join(f"{count} x {name}" for name, count in sorted(moments.items()))
    print(
        f"crash: seeds {chosen.seed}..{seed - 1}, {rounds} rounds, killed at {killed}, {answers} answers, ok"
    )
    return 0


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="killtest", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().getrandbits(31),
        help="of the first life; a random one otherwise",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"in all; {ROUNDS} are a life, on a directory of its own (default: one life)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="no round begins after so many; without --rounds there are as many as fit in",
    )
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument(
        "--program",
        default=INSTALLED[0],
        help="the daemon; beanstalkd-binlog is beside it (default: %(default)s)",
    )
    parser.add_argument(
        "--c-server",
        default=find_c_server(),
        help="whose binlog is taken over (default: %(default)s)",
    )
    return parser.parse_args()


def _live(chosen: argparse.Namespace, seed: int, rounds: int, end_at: float) -> Life | None:
    """One life. None if it failed, and that was said."""
    directory = tempfile.mkdtemp(prefix="crash.")
    try:
        with Daemon(directory=directory, program=(chosen.program,)) as daemon:
            life = Life(daemon, seed, chosen.c_server, chosen.connections, _say)
            life.run(rounds, lambda: time.monotonic() < end_at)
    except Exception as error:
        program = "" if chosen.program == INSTALLED[0] else f" PROGRAM={chosen.program}"
        print(
            error if isinstance(error, AssertionError) else traceback.format_exc(), file=sys.stderr
        )
        print(f"the directory is kept: {directory}", file=sys.stderr)
        print(f"again: make killtest SEED={seed} ROUNDS={rounds}{program}", file=sys.stderr)
        return None
    shutil.rmtree(directory)
    return life


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
