"""Both servers agree for a few seeds. A wrong server is detected, and the sequence is written as a
transcript.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from judge.actions import Action, Sequence, Setting
from judge.comparison import TRIES
from judge.cuts import WHOLE
from judge.generator import PROFILES, draw
from judge.live_peer import LivePeer
from judge.play import play_seed, replay
from judge.runner import play
from judge.server_pair import ServerPair
from judge.shrink import shrink
from judge.transcript import World, parse
from judge.transcript_writer import write
from testkit.daemon import Daemon

COMMANDS = 150
SEEDS = (0, 1, 2, 3, 10, 34)  # these cover every profile


def wrong_server(statement: str) -> list[str]:
    """Our server, after this statement."""
    return [
        sys.executable,
        "-c",
        f"import sys; {statement}; from beanstalkd_py.cli import main; "
        "sys.exit(main(['beanstalkd-py', *sys.argv[1:]]))",
    ]


WRONG_REPLY = wrong_server(
    "from beanstalkd_py.protocol import replies; replies.RELEASED = b'BURIED\\r\\n'"
)
SILENT = wrong_server("from beanstalkd_py.protocol import replies; replies.RELEASED = b''")
WRONG_CLOCK = wrong_server(
    "import time; now = time.clock_gettime_ns; time.clock_gettime_ns = lambda clock: 2 * now(clock)"
)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_servers_agree(pair: ServerPair, seed: int) -> None:
    outcome = play_seed(pair, seed, COMMANDS)
    assert not outcome.failure, f"make judge SEED={seed}: {outcome.failure}"
    assert outcome.commands > 20 and outcome.connections > 2


def test_the_seeds_have_every_manner() -> None:
    assert {draw(Random(f"judge {seed}"))[0] for seed in SEEDS} == set(PROFILES)


@pytest.mark.parametrize("seed", SEEDS)
def test_c_server_agrees_with_itself(pair: ServerPair, seed: int) -> None:
    """The outcome does not depend on the scheduling of the two processes, except for the order of
    two waiting clients. If the machine stalls a server until the commands of both have arrived,
    level-triggered epoll may report the later one first.
    """
    outcome = play_seed(replace(pair, ours=[pair.c]), seed, COMMANDS)
    assert outcome.failure == ""
    assert {row for row, times in outcome.seen.items() if times} <= {"waiting-order"}


@pytest.mark.parametrize("seed", range(1, 5))
def test_extension_commands_leave_the_other_replies_as_they_were(
    pair: ServerPair, seed: int
) -> None:
    """The short form of `judge --extensions`: 1000 commands of the C server."""
    outcome = play_seed(pair, seed, 250, extensions=True)
    assert not outcome.failure, f"seed {seed}: {outcome.failure}"
    assert outcome.commands > 20 and len(outcome.mixed) > 5


@pytest.mark.sources
def test_extension_command_with_an_effect_is_detected(pair: ServerPair) -> None:
    """Here drain status counts the client as a producer."""
    broken = wrong_server(
        "from beanstalkd_py.protocol.extensions import Extensions as E; drain = E.drain; "
        "E.drain = lambda self, client, *words: "
        "self._queue._mark_producer(client) or drain(self, client, *words)"
    )
    kinds = {
        play_seed(replace(pair, ours=broken), seed, 250, extensions=True).kind for seed in (1, 2, 3)
    }
    assert "current-producers: and current-producers:" in kinds


def sequence_of(*blocks: bytes) -> Sequence:
    return Sequence(
        Setting(timed=True),
        [Action("open", "A"), *(Action("send", "A", block) for block in blocks)],
    )


SEQUENCE = sequence_of(b"put 0 0 60 3\r\nabc\r\nreserve\r\n", b"stats\r\n", b"release 1 0 0\r\n")


@pytest.mark.parametrize(
    ("program", "kind"), [(WRONG_REPLY, "BURIED and RELEASED"), (SILENT, "more")]
)
def test_wrong_reply_is_detected(pair: ServerPair, program: list[str], kind: str) -> None:
    assert replay(replace(pair, ours=program), SEQUENCE, TRIES).kind == kind
    assert replay(pair, SEQUENCE).kind == ""


# In place of the C server: it replies to `?` and `use a`, and loses the replies before `quit`.
RESETTING = """#!{python}
import socket, struct, sys, threading

if "-v" in sys.argv:
    sys.exit(print("beanstalkd 1.12"))

def serve(client):
    while data := client.recv(1000):
        if data.endswith(b"quit\\r\\n"):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, {linger}))
            return client.close()
        client.send(b"UNKNOWN_COMMAND\\r\\n" if data == b"?\\r\\n" else b"USING a\\r\\n")

with socket.create_server(("127.0.0.1", 0)) as listening:
    while True:
        threading.Thread(target=serve, args=listening.accept()[:1]).start()
"""


@pytest.mark.parametrize(("linger", "kind"), [("0", ""), ("1", "more")])
def test_a_reset_loses_replies_of_the_c_server(
    pair: ServerPair, tmp_path: Path, linger: str, kind: str
) -> None:
    """Its kernel sends a reset after `quit` and further bytes. The end of a stream loses none."""
    program = tmp_path / "resetting"
    program.write_text(RESETTING.format(python=sys.executable, linger=linger))
    program.chmod(0o755)
    sequence = sequence_of(b"use a\r\n", b"use a\r\n" * 3 + b"quit\r\n")
    assert replay(replace(pair, c=str(program)), sequence, TRIES).kind == kind


def test_wrong_clock_is_detected(pair: ServerPair) -> None:
    sequence = sequence_of(b"put 0 9 60 3\r\nabc\r\n", b"stats-job 1\r\n")
    sequence.actions.insert(2, Action("wait", seconds=2))
    assert replay(replace(pair, ours=WRONG_CLOCK), sequence).kind == "age: and age:"
    assert replay(pair, sequence).kind == ""


def test_wrong_reply_is_detected_by_a_seed(pair: ServerPair) -> None:
    assert play_seed(replace(pair, ours=WRONG_REPLY), 5, COMMANDS).kind == "BURIED and RELEASED"


def test_failing_sequence_becomes_a_short_transcript(pair: ServerPair) -> None:
    """The transcript has the replies of the C server."""
    small = replace(pair, ours=["sh", "-c", 'exec "$0" "$@" -z 2', pair.c])
    sequence = sequence_of(
        *[b"list-tubes\r\n"] * 5,
        b"list-tubes\r\nput 0 0 60 3\r\nabc\r\nreserve\r\n",
        *[b"use a\r\n"] * 5,
    )
    short = shrink(
        sequence, lambda sequence: replay(small, sequence).kind == "JOB_TOO_BIG and INSERTED"
    )
    again = replay(small, short)
    assert [action.data for action in short.actions] == [b"", b"put 0 0 60 3\r\nabc\r\n"]
    text = write("short", short.setting, short.actions, again.replies)
    assert "A< INSERTED 1\n# ours: 1 replies\n# A< JOB_TOO_BIG\n" in text
    (transcript,) = parse(text)
    daemon = Daemon(["-z", str(transcript.options["-z"])], program=(pair.c,))
    try:
        play(transcript, LivePeer(daemon.start(), World(is_c=True), WHOLE))
    finally:
        daemon.close()
