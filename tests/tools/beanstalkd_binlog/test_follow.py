"""`follow`: records as they become durable, over rotations, restarts and kills."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_binlog.dump import Filter
from beanstalkd_binlog.entry import Entry
from beanstalkd_binlog.follow import Follower
from beanstalkd_binlog.walk import Walk
from testkit.daemon import ROOT, Daemon
from testkit.waiting import HANG_S

from beanstalkd_py.binlog.records import encode
from tests.tools.beanstalkd_binlog.logs import AT, append, last_segment, open_log, put, write


class Printed:
    """A Printer that keeps the entries."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def lsns(self) -> list[int]:
        return [entry.lsn for entry in self.entries]

    def entry(self, entry: Entry) -> None:
        self.entries.append(entry)


def follower_of(directory: Path, printed: Printed) -> Follower:
    """A follower of all records."""
    return Follower(Walk(str(directory), replay=False), printed, Filter())  # type: ignore[arg-type]


def test_follow_hides_records_that_are_not_durable_yet(tmp_path):
    lock = wal.lock(tmp_path)
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    printed = Printed()
    follower = follower_of(tmp_path, printed)
    follower.begin(10)
    assert printed.lsns == [1]
    append(log, [put(3), put(4)], AT)
    follower.poll()
    assert printed.lsns == [1, 2]
    log.write_watermark(AT)
    follower.poll()
    assert printed.lsns == [1, 2, 3, 4]
    log.close(AT)
    lock.close()


def test_follow_shows_the_offset_of_each_record(tmp_path):
    """Also of records that were written after `follow` began."""
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    printed = Printed()
    follower = follower_of(tmp_path, printed)
    follower.begin(10)
    append(log, [put(2, body=b"two"), put(3, body=b"three")], AT)
    log.write_watermark(AT)
    follower.poll()
    data = last_segment(tmp_path).read_bytes()
    assert printed.lsns == [1, 2, 3]
    for entry in printed.entries:
        assert entry.record is not None
        record = encode(entry.record)
        assert data[entry.offset : entry.offset + len(record)] == record
    log.close(AT)


def test_follow_shows_what_was_read_before_a_gap(tmp_path):
    """The server deletes only durable segments, so these records were durable."""
    lock = wal.lock(tmp_path)
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 2000)], AT)
    printed = Printed()
    follower = follower_of(tmp_path, printed)
    follower.begin(10)
    assert printed.lsns == []
    for id in range(2, 7):
        append(log, [put(id, body=b"x" * 2000)], AT)
    log.retire(log.segment)
    append(log, [put(7)], AT)
    log.write_watermark(AT)
    follower.poll()
    assert printed.lsns == [1, 6, 7]
    log.close(AT)
    lock.close()


# OtherFiles a real server


class Follow:
    """A running `follow --json`."""

    def __init__(self, directory: Path, *options: str) -> None:
        command = [
            sys.executable,
            "-m",
            "beanstalkd_binlog",
            "follow",
            str(directory),
            "--json",
            *options,
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT / "tools", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def line(self) -> dict:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def events(self, count: int) -> list[tuple[str, int]]:
        return [(line["event"], line["job"]) for line in (self.line() for _ in range(count))]

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=HANG_S)
        return self.process.returncode, out, err


@pytest.fixture
def follow() -> Iterator[Callable[..., Follow]]:
    running: list[Follow] = []

    def start(*arguments: object) -> Follow:
        running.append(Follow(*arguments))  # type: ignore[arg-type]
        return running[-1]

    yield start
    for each in running:
        each.process.kill()
        each.process.communicate()


def say(connection: socket.socket, command: bytes, replies: int = 1) -> list[bytes]:
    connection.sendall(command)
    file = connection.makefile("rb")
    return [file.readline() for _ in range(replies)]


def test_follow_shows_records_as_they_become_durable(follow, daemon: Daemon, tmp_path):
    daemon.start()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 5\r\nhello\r\n")
        following = follow(tmp_path / "log")
        first = following.line()
        assert (first["event"], first["job"], first["body"]) == ("put", 1, "hello")
        say(client, b"reserve\r\nbury 1 7\r\ndelete 1\r\n", 4)
        assert following.events(2) == [("bury", 1), ("delete", 1)]
    assert daemon.stop() == 0
    daemon.start()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n")
        assert following.events(1) == [("put", 2)]
    daemon.kill()
    daemon.start()
    with daemon.connect() as client:
        say(client, b"delete 2\r\n")
        assert following.events(1) == [("delete", 2)]
    assert following.stop() == (130, "", "")


def test_follow_continues_over_rotations(follow, daemon: Daemon, tmp_path):
    daemon.start()
    following = follow(tmp_path / "log", "--kind", "put")
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n")
        assert following.events(1) == [("put", 1)]
        for _ in range(10):
            say(client, (b"put 1 0 60 3000\r\n" + b"x" * 3000 + b"\r\n") * 10, 10)
        assert following.events(100) == [("put", id) for id in range(2, 102)]
        assert max(tmp_path.glob("log/*.wal")).name > "00000004"


def test_follow_begins_with_the_last_few(follow, daemon: Daemon, tmp_path):
    daemon.start()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n" * 20, 20)
        following = follow(tmp_path / "log", "-n", "3")
        assert following.events(3) == [("put", 18), ("put", 19), ("put", 20)]
        none = follow(tmp_path / "log", "-n", "0", "--tube", "other", "--tube", "default")
        say(client, b"use other\r\n")
        while not select.select([none.process.stdout], [], [], 0.1)[0]:
            say(client, b"put 1 0 60 1\r\nx\r\n")
        ((_, first),) = none.events(1)
        assert first > 20 and following.events(1) == [("put", 21)]


def test_follow_of_a_log_that_never_syncs(follow, daemon: Daemon, tmp_path):
    daemon.options = (*daemon.options, "-F")
    daemon.start()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n" * 5, 5)
        following = follow(tmp_path / "log", "-n", "2")
        assert following.events(2) == [("put", 4), ("put", 5)]
        say(client, b"put 1 0 60 1\r\nx\r\n")
        assert following.events(1) == [("put", 6)]


def test_follow_without_a_server_waits_for_one(follow, daemon: Daemon, tmp_path):
    write(tmp_path / "log", [put(1)], [put(2)], close=False)
    following = follow(tmp_path / "log")
    assert following.events(2) == [("put", 1), ("put", 2)]  # the next start makes both durable
    daemon.start()
    with daemon.connect() as client:
        say(client, b"delete 1\r\n")
        assert following.events(1) == [("delete", 1)]
    waiting = "no server has the log open; waiting for a server"
    expected = f"beanstalkd-binlog: {tmp_path / 'log'}: {waiting}\n"
    assert following.stop() == (130, "", expected)


def test_follow_reads_the_log_again_after_a_gap(follow, daemon: Daemon, tmp_path):
    """`follow` reports that records are missing, and knows the jobs all the same.

    Compaction may rewrite job 1 after a kick and delete the record that the kick changed, before
    `follow` reads on. So the job is kicked until `follow` shows it.
    """
    daemon.start()
    again = b"reserve-job 1\r\nbury 1 5\r\nkick-job 1\r\n"
    with daemon.connect() as client:
        say(client, b"use mail\r\nput 1 0 60 1\r\nx\r\nwatch mail\r\n" + again, 7)
        following = follow(tmp_path / "log", "--job", "1", "--kind", "kick")
        assert following.events(1) == [("kick", 1)]
        following.process.send_signal(signal.SIGSTOP)
        oldest = min(tmp_path.glob("log/*.wal"))
        for id in range(2, 400, 10):
            say(client, (b"put 1 0 60 3000\r\n" + b"x" * 3000 + b"\r\n") * 10, 10)
            say(client, b"".join(b"delete %d\r\n" % each for each in range(id, id + 10)), 10)
        assert not oldest.exists()
        following.process.send_signal(signal.SIGCONT)
        while not select.select([following.process.stdout], [], [], 0.1)[0]:
            say(client, again, 4)
        last = following.line()
        assert (last["event"], last["job"], last["tube"]) == ("kick", 1, "mail")
        assert last["was"] == {"state": "buried", "kicks": last["kicks"] - 1}
    assert "deleted segments before they were read" in following.stop()[2]


def test_follow_ends_with_status_0_when_the_pipe_is_closed(follow, daemon: Daemon, tmp_path):
    daemon.start()
    following = follow(tmp_path / "log")
    following.process.stdout.close()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n")
        assert following.process.wait(HANG_S) == 0
    assert following.process.stderr.read() == ""
