"""make prove: the long form of every rung, about an hour on two cores. The last thing printed is a table; the status is 1 if any rung failed."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .lane import Outcome, run
from .rungs import MINUTES, RUNGS, Rung, a_seed

LAST_LANE = 2  # waits for the others

_saying = threading.Lock()


def say(text: str) -> None:
    with _saying:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def prove(rungs: Sequence[Rung], seed: int, minutes: float) -> list[Outcome]:
    """In the order of the rungs."""
    lanes = [[rung for rung in rungs if rung.lane == lane] for lane in range(LAST_LANE)]
    with ThreadPoolExecutor(LAST_LANE) as together:
        found = [outcome for lane in together.map(lambda lane: run(lane, seed, minutes, say), lanes) for outcome in lane]
    found += run([rung for rung in rungs if rung.lane == LAST_LANE], seed, minutes, say)
    return found


def table(outcomes: Sequence[Outcome]) -> str:
    rows = [("rung", "result", "minutes", "what it did, or the command that does it again")]
    for outcome in outcomes:
        told = outcome.summary if outcome.ok else outcome.command
        rows.append((outcome.rung.shown, "ok" if outcome.ok else "FAILED", f"{outcome.seconds / 60:.1f}", told))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument("--seed", type=int, default=a_seed(), help="of every rung's beginning (default: a random one)")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of the whole (default: %(default)g)")
    parser.add_argument("--only", nargs="+", metavar="RUNG", help="these rungs")
    options = parser.parse_args(arguments)
    rungs = [rung for rung in RUNGS if not options.only or rung.name in options.only]
    if not rungs:
        parser.error(f"no rung is called {' or '.join(options.only)}")
    outcomes = prove(rungs, options.seed, options.minutes)
    failed = [outcome for outcome in outcomes if not outcome.ok]
    print(f"\n{table(outcomes)}\n")
    print(f"prove: seed {options.seed}, {len(outcomes)} rungs, {len(failed)} failed, {'FAILED' if failed else 'ok'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
