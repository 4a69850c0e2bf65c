"""python -m fuzz: fuzz every parser and file reader with malformed input, generated from a seed."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable

from . import api, batchedio, cfiles, commands, config, daemon, parser, requests, segments
from .count import Count

READERS: dict[str, Callable[[int, Count], None]] = {
    "parser": parser.run,
    "segments": segments.run,
    "commands": commands.run,
    "cfiles": cfiles.run,
    "config": config.run,
    "batchedio": batchedio.run,
    "daemon": daemon.run,
    "requests": requests.run,
    "api": api.run,
}


def main() -> int:
    arguments = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    arguments.add_argument("--seed", type=int, help="first seed; without --seconds, the only one")
    arguments.add_argument(
        "--seconds", type=float, help="run further seeds for this time (default: 60 without --seed)"
    )
    arguments.add_argument(
        "--only", choices=READERS, action="append", help="test this reader only; may be repeated"
    )
    chosen = arguments.parse_args()
    first = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    seconds = chosen.seconds if chosen.seconds is not None else 60 if chosen.seed is None else 0
    end = time.monotonic() + seconds
    counts = {name: Count() for name in chosen.only or READERS}
    seed = first
    while True:
        for name, count in counts.items():
            _feed(name, seed, count)
        if time.monotonic() >= end:
            break
        seed += 1
    totals = "; ".join(f"{name}: {count}" for name, count in counts.items())
    print(f"fuzz: seeds {first}..{seed}, {totals}, ok")
    return 0


def _feed(name: str, seed: int, count: Count) -> None:
    try:
        READERS[name](seed, count)
    except BaseException:
        print(
            f"fuzz: {name} fails; repeat: make fuzz SEED={seed} ONLY={name}",
            file=sys.stderr,
            flush=True,
        )
        raise


if __name__ == "__main__":
    sys.exit(main())
