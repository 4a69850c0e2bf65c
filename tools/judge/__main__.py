"""python -m judge: random commands to this server and to the C server, which must say the same,
byte for byte.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from killtest.smalldisk import NotPermitted

from .bench import Bench, NoReference, need_c_server
from .clock import Clock, NoCompiler
from .differences import TABLE, shows
from .play import COMMANDS, Outcome, play_seed, replay
from .probes import Prober, Stale
from .shrink import shrink
from .writing import write

LONG_S = 120.0  # more than 100 000 commands
IMPATIENT_S = 1.0
SAY_S = 60.0  # from one word about how far it is to the next


def main() -> int:
    parser = argparse.ArgumentParser(prog="judge", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="the first one; without --seconds, the only one, and no probes"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"how long to go on with the next seeds ({LONG_S:.0f} without --seed)",
    )
    parser.add_argument(
        "--commands", type=int, default=COMMANDS, help="of one seed, at most (default: %(default)s)"
    )
    parser.add_argument("--server", help="the C server (default: the one installed)")
    chosen = parser.parse_args()
    first = random.SystemRandom().getrandbits(31) if chosen.seed is None else chosen.seed
    seconds = (
        chosen.seconds if chosen.seconds is not None else LONG_S if chosen.seed is None else 0.0
    )
    try:
        with Clock() as clock:
            bench = Bench(clock, c=chosen.server or need_c_server())
            print(f"--seed {first}, beside {bench.c} {bench.c_version}", flush=True)
            if chosen.seed is None or seconds:
                _probe(bench)
            return _judge(bench, first, seconds, chosen.commands)
    except (NoReference, NoCompiler, Stale) as reason:
        print(f"judge: {reason}", file=sys.stderr)
        return 1


def _probe(bench: Bench) -> None:
    """Every row of the table still shows."""
    with Prober(bench) as prober:
        for row in TABLE.values():
            try:
                prober.check(row)
            except NotPermitted as reason:
                print(
                    f"{row.name}: not probed, as there can be no small disk here: {reason}",
                    flush=True,
                )


def _judge(bench: Bench, first: int, seconds: float, commands: int) -> int:
    end_at = time.monotonic() + seconds
    say_at = time.monotonic() + SAY_S
    seed, said, opened = first, 0, 0
    seen: Counter[str] = Counter()
    while True:
        try:
            outcome = play_seed(bench, seed, commands)
        except Exception:
            print(
                f"judge: seed {seed} ends in an error; {_again(bench, seed, commands)}", flush=True
            )
            raise
        said += outcome.commands
        opened += outcome.connections
        seen += outcome.seen
        if outcome.failure:
            _report(bench, seed, commands, outcome)
            return 1
        if time.monotonic() >= end_at:
            break
        seed += 1
        if time.monotonic() >= say_at:
            say_at += SAY_S
            print(f"seed {seed}: {said} commands so far", flush=True)
    expected = [row.name for row in TABLE.values() if shows(row, bench.c_version)]
    rows = ", ".join(f"{name} {seen[name]}" for name in expected if seen[name])
    print(
        f"judge: seeds {first}..{seed}, {said} commands in {seed - first + 1} sequences on {opened} connections, differences seen: {rows}, ok"
    )
    return 0


def _report(bench: Bench, seed: int, commands: int, outcome: Outcome) -> None:
    print(f"judge: seed {seed}: {outcome.failure}", flush=True)
    short = shrink(
        outcome.sequence, lambda sequence: replay(bench, sequence, IMPATIENT_S).kind == outcome.kind
    )
    again = replay(bench, short)
    how = ", with a log" * short.setting.logged + ", over unix sockets" * short.setting.unix
    print(write(f"seed {seed}, shortened{how}", short.setting, short.moves, again.told), end="")
    print(f"# {again.failure or 'the last time both said the same'}")
    print(_again(bench, seed, commands), flush=True)


def _again(bench: Bench, seed: int, commands: int) -> str:
    return f"again: PYTHONPATH=.:wal:tools .venv/bin/python -m judge --seed {seed} --commands {commands} --server {bench.c}"


if __name__ == "__main__":
    sys.exit(main())
