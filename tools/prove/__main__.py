"""make prove: the long form of every rung, about an hour on two cores. The last thing printed is a
table; the status is 1 if any rung failed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .lane import Outcome, Processes, run
from .rungs import MINUTES, RUNGS, Rung, a_seed

LAST_LANE = 2  # waits for the others
INTERRUPTED = 130  # as shells have it

_saying = threading.Lock()


def say(text: str) -> None:
    with _saying:
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def prove(rungs: Sequence[Rung], seed: int, minutes: float) -> list[Outcome]:
    """In the order of the rungs. Who interrupts it ends all that runs."""
    processes = Processes()

    def lane(number: int) -> list[Outcome]:
        return run([rung for rung in rungs if rung.lane == number], seed, minutes, say, processes)

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
    rows = [("rung", "result", "minutes", "what it did, or the command that does it again")]
    for outcome in outcomes:
        told = outcome.summary if outcome.ok else outcome.again
        rows.append(
            (
                outcome.rung.shown,
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
        help="of every rung's beginning (default: a random one)",
    )
    parser.add_argument(
        "--minutes", type=float, default=MINUTES, help="of the whole (default: %(default)g)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="RUNG",
        choices=[rung.shown for rung in RUNGS],
        help="these rungs: %(choices)s",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _chosen(arguments)
    rungs = [rung for rung in RUNGS if not options.only or rung.shown in options.only]
    say(f"seed {options.seed}, {len(rungs)} rungs in about {options.minutes:g} minutes")
    began_at = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        outcomes = prove(rungs, options.seed, options.minutes)
    except KeyboardInterrupt:
        print(
            f"prove: seed {options.seed}, interrupted after {_minutes_since(began_at)} minutes, FAILED"
        )
        return INTERRUPTED
    failed = sum(not outcome.ok for outcome in outcomes)
    print(f"\n{table(outcomes)}\n")
    verdict = "FAILED" if failed else "ok"
    print(
        f"prove: seed {options.seed}, {len(outcomes)} rungs in {_minutes_since(began_at)} minutes, {failed} failed, {verdict}"
    )
    return 1 if failed else 0


def _minutes_since(instant: float) -> str:
    return f"{(time.monotonic() - instant) / 60:.1f}"


if __name__ == "__main__":
    sys.exit(main())
