"""When replies are sent: after their records are durable, in order, and not after a failure."""

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
    """Each sync takes half a second, so that other replies wait meanwhile. -VV traces commands."""
    program = (sys.executable, "-m", "killtest.faulty_disk", "slow:0.5", "--")
    with Daemon(("-VV",), directory=directory, program=program) as daemon:
        daemon.start()
        # After a slow sync the server no longer commits inline.
        with Conversation(daemon.connect()) as client:
            client.ask(put(b""), b"delete 1")
        yield daemon


def send_traced(daemon: Daemon, client: Conversation, last: bytes) -> None:
    """Sends a put and another command; returns when the server has received both."""
    words = f"command {last.split()[0].decode()}"
    before = daemon.said().count(words)
    client.send(put(b""), last)
    wait_until(lambda: daemon.said().count(words) > before, daemon.said)


def test_pending_replies_keep_order_when_a_client_quits(slow_daemon):
    """A quits during the flush, so B gets a job. B's older pending reply is sent first."""
    with (
        Conversation(slow_daemon.connect()) as a,
        Conversation(slow_daemon.connect()) as b,
        Conversation(slow_daemon.connect()) as other,
    ):
        b.ask(b"watch shared", b"ignore default")
        a.ask(b"use shared", put(b""), b"watch shared", b"reserve-with-timeout 0", b"use default")
        send_traced(slow_daemon, other, b"peek-ready")  # starts a slow sync
        send_traced(slow_daemon, a, b"quit")
        send_traced(slow_daemon, b, b"reserve-with-timeout 5")
        assert [str(reply).split()[0] for reply in b.replies(2)] == ["INSERTED", "RESERVED"]


def test_pending_replies_of_iterations_keep_order(slow_daemon):
    with (
        Conversation(slow_daemon.connect()) as client,
        Conversation(slow_daemon.connect()) as other,
    ):
        send_traced(slow_daemon, other, b"peek-ready")  # starts a slow sync
        send_traced(slow_daemon, client, b"list-tubes")
        send_traced(slow_daemon, client, b"list-tube-used")
        assert [str(reply).split()[0] for reply in client.replies(4)] == [
            "INSERTED",
            "OK",
            "INSERTED",
            "USING",
        ]


def test_job_is_visible_to_nobody_before_it_is_synced(directory, tmp_path):
    """Neither the producer nor another client receives a reply that mentions the job."""
    held = tmp_path / "held"
    program = (sys.executable, "-m", "killtest.faulty_disk", f"hold:sync:{held}", "--")
    with Daemon(("-VV",), directory=directory, program=program) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client, Conversation(daemon.connect()) as other:
            client.ask(b"use tube", b"list-tube-used")
            other.ask(b"watch tube", b"ignore default")
            held.touch()
            with daemon.stopped():  # both are in one poll batch: the committer thread commits
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


def test_inline_commit_replies_after_sync(directory, tmp_path):
    """The loop thread waits for the disk, so another client has to wait for its reply as well."""
    held = tmp_path / "held"
    program = (sys.executable, "-m", "killtest.faulty_disk", f"hold:sync:{held}", "--")
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


# A disk that fails


@pytest.fixture
def trigger(tmp_path: Path) -> Path:
    """The disk fails once this file exists."""
    return tmp_path / "fail"


def failing(directory: Path, call: str, error: str, trigger: Path, *options: str) -> Daemon:
    program = (sys.executable, "-m", "killtest.faulty_disk", f"fail:{call}:{error}:{trigger}", "--")
    return Daemon(("-s", "65536", *options), directory=directory, program=program)


def wait_until_idle(directory: Path) -> None:
    """Waits until no segment is being preallocated, because that would fail first."""
    seen: list[dict[str, int]] = []

    def is_idle() -> bool:
        seen.append(sizes(directory))
        return len(seen) > 20 and all(each == seen[-1] for each in seen[-20:])

    wait_until(is_idle, lambda: seen[-1])


def work_until_closed(client: Conversation) -> tuple[list[int], set[int]]:
    """Puts jobs and deletes every other one, until the server closes.

    Returns the ids of acknowledged jobs that were kept, and of jobs whose delete was sent.
    """
    kept: list[int] = []
    gone: set[int] = set()
    try:
        while True:
            replies = client.ask(*[put(bytes(1000))] * 40)
            ids = [reply.id for reply in replies if reply.words[0] == b"INSERTED"]
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
        ("sync", "ENOMEM"),
        ("rename", "EIO"),
        ("sync_directory", "EIO"),
    ],
)
def test_failed_disk_ends_the_server_and_loses_nothing(directory, trigger, call, error):
    """Each call fails in tests/tools/simulation/test_iofaults.py; here is how the server ends."""
    with failing(directory, call, error, trigger) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(b"before")] * 10)]
            trigger.touch()
            kept, gone = work_until_closed(client)
        no_memory = error == "ENOMEM"
        assert daemon.wait_end() == (71 if no_memory else 74)
        number = getattr(errno, error)
        helps = re.escape("; allow more memory (ulimit -v, LimitAS=)") if no_memory else ""
        line = (
            rf"beanstalkd-py: {re.escape(str(directory))}\S*: failed( at offset \d+)?: "
            rf"errno {number}: {re.escape(os.strerror(number))}{helps}\n"
        )
        # Preallocation may be the first to write: then the disk counts as full for a moment.
        full = r"(beanstalkd-py: [^\n]*: puts are refused: [^\n]*\n)?" if error == "ENOSPC" else ""
        assert re.fullmatch(full + line, daemon.errors())
        trigger.unlink()
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert {
                reply.words[0] for reply in client.ask(*[b"peek %d" % id for id in ids + kept])
            } == {b"FOUND"}
            assert not gone.intersection(ids + kept)


@pytest.mark.parametrize("call", ["write", "sync"])
def test_no_reply_is_sent_after_a_failure(directory, trigger, call):
    with failing(directory, call, "EIO", trigger) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client, Conversation(daemon.connect()) as reader:
            client.ask(put(b"before"))
            wait_until_idle(directory)
            trigger.touch()
            client.send(put(b"never promised"))
            with pytest.raises((Closed, ConnectionError)):
                client.replies(1)
            with pytest.raises((Closed, ConnectionError)):
                reader.ask(b"peek 2")
        assert daemon.wait_end() == 74


def test_failed_sync_ends_the_server_within_the_window(directory, trigger):
    """With -f the reply does not wait for the sync, but a failed sync still ends the server."""
    with failing(directory, "sync", "EIO", trigger, "-f", "1500") as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            assert client.say(put(b"written")) == ["INSERTED 1"]
            trigger.touch()
            assert daemon.wait_end() == 74
