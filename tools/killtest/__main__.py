"""python -m killtest: run the installed server under load, kill it, restart it, audit all jobs."""

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

from .life import ROUNDS, Life


def main() -> int:
    chosen = _chosen()
    print(f"--seed {chosen.seed} --program {chosen.program}", flush=True)
    end_at = float("inf") if chosen.seconds is None else time.monotonic() + chosen.seconds
    seed, left = chosen.seed, chosen.rounds or (ROUNDS if chosen.seconds is None else sys.maxsize)
    kill_points: Counter[str] = Counter()
    rounds = answers = 0
    while left > 0 and (seed == chosen.seed or time.monotonic() < end_at):
        planned = min(left, ROUNDS)
        life = _live(chosen, seed, planned, end_at)
        if life is None:
            return 1
        kill_points.update(life.rounds.kill_points)
        answers += life.rounds.knowledge.answers
        rounds += life.rounds.number
        left -= planned
        seed += 1
    killed = ", ".join(f"{count} x {name}" for name, count in sorted(kill_points.items()))
    print(
        f"killtest: seeds {chosen.seed}..{seed - 1}, {rounds} rounds, "
        f"killed at {killed}, {answers} answers, ok"
    )
    return 0


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="killtest", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=random.SystemRandom().getrandbits(31),
        help="seed of the first life (default: random)",
    )
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"total; {ROUNDS} rounds are a life on its own directory (default: one life)",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help="start no round after this time; without --rounds run as many as possible",
    )
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument(
        "--program",
        default=INSTALLED[0],
        help="the server; beanstalkd-binlog is in the same folder (default: %(default)s)",
    )
    parser.add_argument(
        "--c-server",
        default=find_c_server(),
        help="the C server whose binlog is taken over (default: %(default)s)",
    )
    return parser.parse_args()


def _live(chosen: argparse.Namespace, seed: int, rounds: int, end_at: float) -> Life | None:
    """Runs one life. Reports a failure and returns None."""
    directory = tempfile.mkdtemp(prefix="killtest.")
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
        print(f"repeat: make killtest SEED={seed} ROUNDS={rounds}{program}", file=sys.stderr)
        return None
    shutil.rmtree(directory)
    return life


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
