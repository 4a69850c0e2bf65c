"""python -m judge: send random commands to this server and to the C server, and compare the replies
byte by byte.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter

from killtest.small_disk import NotPermitted
from testkit.preload import NoCompiler

from .clock import Clock
from .comparison import TRIES
from .differences import TABLE, shows
from .play import COMMANDS, Outcome, play_seed, replay
from .probes import Prober, Stale
from .server_pair import CServerMissing, ServerPair, need_c_server
from .shrink import shrink
from .transcript_writer import write

LONG_S = 120.0  # more than 100 000 commands
PROGRESS_S = 60.0  # between two lines of progress


def main() -> int:
    parser = argparse.ArgumentParser(prog="judge", description=__doc__)
    parser.add_argument(
        "--seed", type=int, help="first seed; without --seconds only this seed runs, without probes"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        help=f"run further seeds for this time ({LONG_S:.0f} if there is no --seed)",
    )
    parser.add_argument(
        "--commands", type=int, default=COMMANDS, help="maximum per seed (default: %(default)s)"
    )
    parser.add_argument(
        "--extensions",
        action="store_true",
        help="mix extension commands into what this server gets; its other replies must not change",
    )
    parser.add_argument("--server", help="the C server (default: the one installed)")
    chosen = parser.parse_args()
    first = random.SystemRandom().getrandbits(31) if chosen.seed is None else chosen.seed
    seconds = (
        chosen.seconds if chosen.seconds is not None else LONG_S if chosen.seed is None else 0.0
    )
    try:
        with Clock() as clock:
            pair = ServerPair(clock, c=chosen.server or need_c_server())
            print(f"--seed {first}, compared with {pair.c} {pair.c_version}", flush=True)
            if (chosen.seed is None or seconds) and not chosen.extensions:
                _probe(pair)
            return _judge(pair, first, seconds, chosen.commands, chosen.extensions)
    except (CServerMissing, NoCompiler, Stale) as reason:
        print(f"judge: {reason}", file=sys.stderr)
        return 1


def _probe(pair: ServerPair) -> None:
    """Checks every row of the table."""
    with Prober(pair) as prober:
        for row in TABLE.values():
            try:
                prober.check(row)
            except NotPermitted as reason:
                print(
                    f"{row.name}: not checked, because a small disk cannot be mounted: {reason}",
                    flush=True,
                )


def _judge(pair: ServerPair, first: int, seconds: float, commands: int, extensions: bool) -> int:
    deadline = time.monotonic() + seconds
    progress_at = time.monotonic() + PROGRESS_S
    seed, sent, opened, mixed = first, 0, 0, 0
    seen: Counter[str] = Counter()
    while True:
        try:
            outcome = play_seed(pair, seed, commands, extensions)
        except Exception:
            print(
                f"judge: seed {seed} ends with an error; "
                f"{_repeat(pair, seed, commands, extensions)}",
                flush=True,
            )
            raise
        sent += outcome.commands
        opened += outcome.connections
        mixed += len(outcome.mixed)
        seen += outcome.seen
        if outcome.failure:
            _report(pair, seed, outcome)
            print(_repeat(pair, seed, commands, extensions), flush=True)
            return 1
        if time.monotonic() >= deadline:
            break
        seed += 1
        if time.monotonic() >= progress_at:
            progress_at += PROGRESS_S
            print(f"seed {seed}: {sent} commands so far", flush=True)
    expected = [row.name for row in TABLE.values() if shows(row, pair.c_version)]
    rows = ", ".join(f"{name} {seen[name]}" for name in expected if seen[name])
    besides = f"{mixed} extension commands besides, " if extensions else ""
    print(
        f"judge: seeds {first}..{seed}, {sent} commands in {seed - first + 1} sequences "
        f"on {opened} connections, {besides}differences seen: {rows}, ok"
    )
    return 0


def _report(pair: ServerPair, seed: int, outcome: Outcome) -> None:
    print(f"judge: seed {seed}: {outcome.failure}", flush=True)
    short = shrink(
        outcome.sequence,
        lambda sequence: replay(pair, sequence, TRIES).kind == outcome.kind,
    )
    again = replay(pair, short, TRIES)
    how = ", with a log" * short.setting.logged + ", over unix sockets" * short.setting.unix
    print(
        write(f"seed {seed}, shortened{how}", short.setting, short.actions, again.replies), end=""
    )
    print(f"# {again.failure or 'in the last run both servers agreed'}")
    for name, line in again.mixed:
        print(f"# our server got besides: {name}> {line!r}")


def _repeat(pair: ServerPair, seed: int, commands: int, extensions: bool) -> str:
    options = f"--seed {seed} --commands {commands} --server {pair.c}"
    options += " --extensions" * extensions
    return f"repeat: PYTHONPATH=.:wal:tools .venv/bin/python -m judge {options}"


if __name__ == "__main__":
    sys.exit(main())
