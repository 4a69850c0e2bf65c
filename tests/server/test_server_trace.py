"""-V and -VV print what the C server prints for the same dialogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from testkit.daemon import OURS, Daemon
from testkit.start import Start
from testkit.waiting import wait_until

from tests.wire.reference import need_c_server

DIALOGUE = [
    b"put 0 0 60 2\r\nab\r\n",
    b"put 0 0 60 100\r\n" + b"x" * 102,
    b"put 0 0 60 3\r\nabcde",
    b"\r\n",
    b"put 0 0 60 3\r\nabc\r\n",
    b"reserve\r\n",
    b"touch 1\r\n",
    b"stats-job 1\r\n",
    b"peek 1\r\n",
    b"peek-ready\r\n",
    b"release 1 0 0\r\n",
    b"reserve-with-timeout 0\r\n",
    b"bury 1 0\r\n",
    b"kick 1\r\n",
    b"kick-job 9\r\n",
    b"reserve-job 1\r\n",
    b"delete 1\r\n",
    b"foo\r\n",
    b"peek 1 1\r\n",
    b"put 1\r\n",
    b"put 0 0 60 1 more\r\n",
    b"a\0b\r\n",
    b"x" * 230 + b"\r\n",
    b"use x\r\n",
    b"watch x\r\n",
    b"ignore x\r\n",
    b"list-tubes\r\n",
    b"list-tube-used\r\n",
    b"list-tubes-watched\r\n",
    b"stats\r\n",
    b"stats-tube x\r\n",
    b"pause-tube x 0\r\n",
]


def trace(daemon: Daemon) -> list[str]:
    """What it prints of one connection, without the numbers that differ."""
    client = daemon.client()
    for data in DIALOGUE:
        client.ask(data)
    client.say(b"quit\r\n")
    assert client.rest() == b""
    wait_until(lambda: re.search(r"close \d+\n\Z", daemon.said()), "it says that it closed")
    lines = daemon.said().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("accept "))
    fd = lines[last].removeprefix("accept ")
    return [re.sub(r"OK \d+", "OK n", line.replace(fd, "FD", 1)) for line in lines[last:]]


@pytest.mark.parametrize("level", ["-V", "-VV"])
def test_trace_equals_the_c_servers(start: Start, tmp_path: Path, level: str) -> None:
    theirs = trace(
        start(level, "-z", "20", program=(need_c_server(),), at=f"unix:{tmp_path}/theirs")
    )
    assert trace(start(level, "-z", "20")) == theirs
    assert len(theirs) == 2 if level == "-V" else len(theirs) > len(DIALOGUE) * 2


def test_trace_begins_with_pid_and_address(start: Start) -> None:
    daemon = start("-V", at="127.0.0.1", program=OURS)
    assert re.match(
        rf"pid {daemon.pid}\nbind \d+ 127\.0\.0\.1:{daemon.port}\naccept ", daemon.said()
    )


def test_trace_shows_pipelined_commands_and_later_replies(start: Start) -> None:
    daemon = start("-VV")
    waiting, other = daemon.client(), daemon.client()
    waiting.ask(b"use x\r\n")
    waiting.say(b"reserve\r\ndelete 1\r\n")
    other.put(b"y")
    assert waiting.hear(2) == [b"RESERVED 1 1\r\ny\r\n", b"DELETED\r\n"]
    wait_until(lambda: "reply DELETED\n" in daemon.said(), "it says so")
    said = [line.partition(" ")[2] for line in daemon.said().splitlines()]
    for line in (
        "command reserve",
        "command delete ",
        "reply RESERVED 1 1",
        "reply DELETED",
        "reply INSERTED 1",
    ):
        assert line in said
