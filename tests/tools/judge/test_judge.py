"""Both servers hear the same and say the same: a few seeds of it. And a server that is wrong is
found out, and that is written down.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from random import Random

import pytest
from judge.bench import Bench
from judge.cuts import WHOLE
from judge.daemon import Daemon
from judge.live_peer import LivePeer
from judge.moves import Move, Sequence, Setting
from judge.play import play_seed, replay
from judge.runner import play
from judge.shrink import shrink
from judge.talk import MANNERS, draw
from judge.transcript import World, parse
from judge.writing import write

COMMANDS = 150
SEEDS = (0, 1, 2, 3, 10, 34)  # every manner


def wrong(what: str) -> list[str]:
    """Our server, but for what is done before it starts."""
    return [
        sys.executable,
        "-c",
        f"import sys; {what}; from beanstalkd_py.cli import main; sys.exit(main(['beanstalkd-py', *sys.argv[1:]]))",
    ]


WRONG_REPLY = wrong(
    "from beanstalkd_py.protocol import replies; replies.RELEASED = b'BURIED\\r\\n'"
)
SILENT = wrong("from beanstalkd_py.protocol import replies; replies.RELEASED = b''")
WRONG_CLOCK = wrong("import time; now = time.monotonic_ns; time.monotonic_ns = lambda: 2 * now()")


@pytest.mark.parametrize("seed", SEEDS)
def test_both_servers_say_the_same(bench: Bench, seed: int) -> None:
    outcome = play_seed(bench, seed, COMMANDS)
    assert not outcome.failure, f"make judge SEED={seed}: {outcome.failure}"
    assert outcome.commands > 20 and outcome.connections > 2


def test_the_seeds_have_every_manner() -> None:
    assert {draw(Random(f"judge {seed}"))[0] for seed in SEEDS} == set(MANNERS)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_c_server_agrees_with_itself(bench: Bench, seed: int) -> None:
    """Nothing depends on chance: not on the order in which two processes run, not on how long they
    take.
    """
    outcome = play_seed(replace(bench, ours=[bench.c]), seed, COMMANDS)
    assert (outcome.failure, {row for row, times in outcome.seen.items() if times}) == ("", set())


def said(*blocks: bytes) -> Sequence:
    return Sequence(
        Setting(timed=True), [Move("open", "A"), *(Move("send", "A", block) for block in blocks)]
    )


SEQUENCE = said(b"put 0 0 60 3\r\nabc\r\nreserve\r\n", b"stats\r\n", b"release 1 0 0\r\n")


@pytest.mark.parametrize(
    ("program", "kind"), [(WRONG_REPLY, "BURIED and RELEASED"), (SILENT, "more")]
)
def test_what_is_wrong_is_found(bench: Bench, program: list[str], kind: str) -> None:
    assert replay(replace(bench, ours=program), SEQUENCE, patience_s=0.5).kind == kind
    assert replay(bench, SEQUENCE).kind == ""


def test_what_is_wrong_is_found_in_time(bench: Bench) -> None:
    sequence = said(b"put 0 9 60 3\r\nabc\r\n", b"stats-job 1\r\n")
    sequence.moves.insert(2, Move("wait", seconds=2))
    assert replay(replace(bench, ours=WRONG_CLOCK), sequence).kind == "age: and age:"
    assert replay(bench, sequence).kind == ""


def test_what_is_wrong_is_found_by_a_seed(bench: Bench) -> None:
    assert play_seed(replace(bench, ours=WRONG_REPLY), 5, COMMANDS).kind == "BURIED and RELEASED"


def test_what_is_wrong_is_shortened_and_written_down(bench: Bench) -> None:
    """As a transcript, which says what the C server says."""
    small = replace(bench, ours=["sh", "-c", 'exec "$0" "$@" -z 2', bench.c])
    sequence = said(
        *[b"list-tubes\r\n"] * 5,
        b"list-tubes\r\nput 0 0 60 3\r\nabc\r\nreserve\r\n",
        *[b"use a\r\n"] * 5,
    )
    short = shrink(
        sequence, lambda sequence: replay(small, sequence).kind == "JOB_TOO_BIG and INSERTED"
    )
    again = replay(small, short)
    assert [move.data for move in short.moves] == [b"", b"put 0 0 60 3\r\nabc\r\n"]
    text = write("short", short.setting, short.moves, again.told)
    assert "A< INSERTED 1\n# ours: 1 replies\n# A< JOB_TOO_BIG\n" in text
    (transcript,) = parse(text)
    daemon = Daemon([bench.c], ["-z", str(transcript.options["-z"])])
    try:
        play(transcript, LivePeer(daemon.start(), World(is_c=True), WHOLE))
    finally:
        daemon.close()
