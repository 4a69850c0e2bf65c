"""Replies and the disk: what leaves when, and what does not leave at all (laws 2 and 4)."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from killtest.conversation import Closed, Conversation, put
from killtest.directory import sizes
from testkit.daemon import Daemon
from testkit.waiting import wait_until


@pytest.fixture
def slow_daemon(directory: Path) -> Iterator[Daemon]:
    """Each sync takes half a second: time enough for others to get in line behind it. It says what
    it is asked for (-VV).
    """
    program = (sys.executable, "-m", "killtest.faulty", "slow:0.5", "--")
    with Daemon(("-VV",), directory=directory, program=program) as daemon:
        daemon.start()
        with Conversation(
            daemon.connect()
        ) as client:  # now it knows, and leaves all to the log's thread
            client.ask(put(b""), b"delete 1")
        yield daemon


def send_and_see(daemon: Daemon, client: Conversation, last: bytes) -> None:
    """A put and one command more; returns when the server has taken both up."""
    words = f"command {last.split()[0].decode()}"
    before = daemon.said().count(words)
    client.send(put(b""), last)
    wait_until(lambda: daemon.said().count(words) > before, daemon.said)


def test_replies_keep_their_order_when_the_log_lets_several_go_at_once(slow_daemon):
    """A's end, amid the replies that leave, gives B a job: B's older reply, which is still in line,
    goes first.
    """
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


def test_replies_of_several_turns_keep_their_order_when_they_go_at_once(slow_daemon):
    with (
        Conversation(slow_daemon.connect()) as client,
        Conversation(slow_daemon.connect()) as other,
    ):
        send_and_see(slow_daemon, other, b"peek-ready")  # keeps the log busy
        send_and_see(slow_daemon, client, b"list-tubes")
        send_and_see(slow_daemon, client, b"list-tube-used")
        assert [str(reply).split()[0] for reply in client.replies(4)] == [
            "INSERTED",
            "OK",
            "INSERTED",
            "USING",
        ]


def test_nobody_learns_of_a_job_before_it_is_synced(directory, tmp_path):
    """Neither who puts it nor who finds it."""
    held = tmp_path / "held"
    program = (sys.executable, "-m", "killtest.faulty", f"hold:sync:{held}", "--")
    with Daemon(("-VV",), directory=directory, program=program) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client, Conversation(daemon.connect()) as other:
            client.ask(b"use tube", b"list-tube-used")
            other.ask(b"watch tube", b"ignore default")
            held.touch()
            with daemon.stopped():  # both have news in one round: the log's thread is to commit
                client.send(put(b""), b"list-tubes")
                other.send(b"put 0 0 60 0", b"")
            wait_until(lambda: "command list-tubes" in daemon.said(), daemon.said)
            other.send(b"peek 1", b"reserve", b"stats-job 1", b"list-tubes-watched")
            wait_until(lambda: "command list-tubes-watched" in daemon.said(), daemon.said)
            assert not client.hears_something(0.3)
            assert not other.hears_something(0.0)
            held.unlink()
            assert [str(reply).split()[0] for reply in client.replies(2)] == ["INSERTED", "OK"]
            assert [str(reply).split()[0] for reply in other.replies(5)] == [
                "INSERTED",
                "FOUND",
                "RESERVED",
                "OK",
                "OK",
            ]


def test_who_is_alone_learns_of_a_job_when_it_is_synced(directory, tmp_path):
    """The server's own thread waits for the disk then; whoever comes meanwhile is told nothing
    sooner either.
    """
    held = tmp_path / "held"
    program = (sys.executable, "-m", "killtest.faulty", f"hold:sync:{held}", "--")
    with Daemon(directory=directory, program=program) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client, Conversation(daemon.connect()) as other:
            client.ask(b"list-tubes")
            other.ask(b"list-tubes")
            held.touch()
            client.send(put(b""))
            assert not client.hears_something(0.3)
            other.send(b"peek 1")
            assert not other.hears_something(0.2)
            held.unlink()
            assert [str(reply).split()[0] for reply in client.replies(1) + other.replies(1)] == [
                "INSERTED",
                "FOUND",
            ]


# A disk that fails (law 4)


@pytest.fixture
def trigger(tmp_path: Path) -> Path:
    """The disk fails as soon as this file is there."""
    return tmp_path / "fail"


def failing(directory: Path, call: str, error: str, trigger: Path, *options: str) -> Daemon:
    program = (sys.executable, "-m", "killtest.faulty", f"fail:{call}:{error}:{trigger}", "--")
    return Daemon(("-s", "65536", *options), directory=directory, program=program)


def await_rest(directory: Path) -> None:
    """Until no room is being prepared any more: that would fail first."""
    seen: list[dict[str, int]] = []

    def rests() -> bool:
        seen.append(sizes(directory))
        return len(seen) > 20 and all(each == seen[-1] for each in seen[-20:])

    wait_until(rests, lambda: seen[-1])


def work_until_closed(client: Conversation) -> tuple[list[int], set[int]]:
    """Puts and deletes every other job. Returns the ids of those that were answered, and those of
    deletes that were sent.
    """
    kept: list[int] = []
    gone: set[int] = set()
    try:
        while True:
            ids = [reply.id for reply in client.ask(*[put(bytes(1000))] * 40)]
            kept += ids[1::2]
            gone |= set(ids[::2])
            assert set(client.say(*[b"delete %d" % id for id in ids[::2]])) == {"DELETED"}
            assert len(kept) < 20_000, "the disk did not fail"
    except (Closed, ConnectionError):
        return kept, gone


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("write", "EIO"),
        ("write", "ENOSPC"),
        ("sync", "EIO"),
        ("truncate", "EIO"),
        ("rename", "EIO"),
        ("create", "EIO"),
        ("unlink", "EIO"),
        ("sync_directory", "EIO"),
    ],
)
def test_a_failed_disk_ends_the_server_with_one_line_and_nothing_answered_is_lost(
    directory, trigger, call, error
):
    with failing(directory, call, error, trigger) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(b"before")] * 10)]
            trigger.touch()
            kept, gone = work_until_closed(client)
        assert daemon.wait_end() == 74
        number = getattr(errno, error)
        line = rf"beanstalkd-py: {re.escape(str(directory))}\S*: failed at offset \d+: errno {number}: {re.escape(os.strerror(number))}\n"
        assert re.fullmatch(line, daemon.errors())
        trigger.unlink()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert {
                reply.words[0] for reply in client.ask(*[b"peek %d" % id for id in ids + kept])
            } == {b"FOUND"}
            assert not gone.intersection(ids + kept)


@pytest.mark.parametrize("call", ["write", "sync"])
def test_no_promise_leaves_after_a_failure(directory, trigger, call):
    with failing(directory, call, "EIO", trigger) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client, Conversation(daemon.connect()) as reader:
            client.ask(put(b"before"))
            await_rest(directory)
            trigger.touch()
            client.send(put(b"never promised"))
            with pytest.raises((Closed, ConnectionError)):
                client.replies(1)
            with pytest.raises((Closed, ConnectionError)):
                reader.ask(b"peek 2")
        assert daemon.wait_end() == 74


def test_a_failed_sync_ends_the_server_within_the_window(directory, trigger):
    """With -f the reply does not wait for the sync, but the server does not go on without it."""
    with failing(directory, "sync", "EIO", trigger, "-f", "1500") as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert client.say(put(b"written")) == ["INSERTED 1"]
            trigger.touch()
            assert daemon.wait_end() == 74
