"""Replies and the disk: what leaves when, and what does not leave at all (laws 2 and 4)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from crashtest.conversation import Conversation, put
from crashtest.daemon import Daemon
from crashtest.directory import await_that


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "log"
    directory.mkdir()
    return directory


@pytest.fixture
def slow_daemon(directory: Path) -> Iterator[Daemon]:
    """Each sync takes half a second: time enough for others to get in line behind it. It says what it is asked for (-VV)."""
    with Daemon(directory, ("-V",), program=(sys.executable, "-m", "crashtest.faulty", "slow:0.5", "--")) as daemon:
        yield daemon.start()


def send_and_see(daemon: Daemon, client: Conversation, last: bytes) -> None:
    """A put and one command more; returns when the server has taken both up."""
    words = f"command {last.split()[0].decode()}"
    before = daemon.said().count(words)
    client.send(put(b""), last)
    await_that(lambda: daemon.said().count(words) > before, daemon.said)


def test_replies_keep_their_order_when_the_log_lets_several_go_at_once(slow_daemon):
    """A's end, amid the replies that leave, gives B a job: B's older reply, which is still in line, goes first."""
    with (
        Conversation(slow_daemon.connect()) as a,
        Conversation(slow_daemon.connect()) as b,
        Conversation(slow_daemon.connect()) as other,
    ):
        b.ask(b"watch shared", b"ignore default")
        a.ask(b"use shared", put(b""), b"watch shared", b"reserve-with-timeout 0", b"use default")
        send_and_see(slow_daemon, other, b"peek-ready")  # keeps the log busy
        send_and_see(slow_daemon, a, b"quit")
        send_and_see(slow_daemon, b, b"reserve-with-timeout 5")
        assert [str(reply).split()[0] for reply in b.replies(2)] == ["INSERTED", "RESERVED"]
