"""make prove: the long form of every check, about an hour on two cores.

The last thing printed is a table. The status is 1 if any check failed, 130 after an interrupt.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .checks import MINUTES, PROVED, Check, a_seed
from .lane import Outcome, Processes, run

LAST_LANE = 2  # begins when the others have ended
INTERRUPTED = 130  # the status that shells use

_saying = threading.Lock()


def say(text: str) -> None:
    with _saying:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def prove(checks: Sequence[Check], seed: int, minutes: float) -> list[Outcome]:
    """The outcomes, in the order of the checks. An interrupt ends all that runs."""
    processes = Processes()

    def lane(number: int) -> list[Outcome]:
        return run(
            [check for check in checks if check.lane == number], seed, minutes, say, processes
        )

    with ThreadPoolExecutor(LAST_LANE) as together:
        try:
            return [
                outcome
                for lanes in (range(LAST_LANE), [LAST_LANE])
                for found in together.map(lane, lanes)
                for outcome in found
            ]
        except KeyboardInterrupt:
            processes.end()
            raise


def table(outcomes: Sequence[Outcome]) -> str:
    rows = [("check", "result", "minutes", "what it did, or the command that repeats the failure")]
    for outcome in outcomes:
        told = outcome.summary if outcome.ok else outcome.again
        rows.append(
            (
                outcome.check.name,
                "ok" if outcome.ok else "FAILED",
                f"{outcome.seconds / 60:.1f}",
                told,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )


def _chosen(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="prove", description=__doc__)
    parser.add_argument(
        "--seed",
        type=int,
        default=a_seed(),
        help="the first seed of every check (default: a random one)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help="how long all of it takes (default: %(default)g)",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="CHECK",
        choices=[check.name for check in PROVED],
        help="these checks: %(choices)s",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _chosen(arguments)
    checks = [check for check in PROVED if not options.only or check.name in options.only]
    say(f"seed {options.seed}, {len(checks)} checks in about {options.minutes:g} minutes")
    began_at = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcomes = prove(checks, options.seed, options.minutes)
    except KeyboardInterrupt:
        took = f"interrupted after {_minutes_since(began_at)} minutes"
        print(f"prove: seed {options.seed}, {took}, FAILED")
        return INTERRUPTED
    failed = sum(not outcome.ok for outcome in outcomes)
    print(f"\n{table(outcomes)}\n")
    verdict = "FAILED" if failed else "ok"
    took = f"{len(outcomes)} checks in {_minutes_since(began_at)} minutes"
    print(f"prove: seed {options.seed}, {took}, {failed} failed, {verdict}")
    return 1 if failed else 0


def _minutes_since(instant: float) -> str:
    return f"{(time.monotonic() - instant) / 60:.1f}"


if __name__ == "__main__":
    sys.exit(main())
