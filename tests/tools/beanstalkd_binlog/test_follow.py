"""`follow`: records as they become durable, over rotations, restarts and kills; and the tail it
reads.
"""

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
from beanstalkd_binlog.reading import Reading
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.tail import Tail
from beanstalkd_binlog.walk import Walk
from beanstalkd_wal.format import HEADER_BYTES
from judge.daemon import ROOT, Daemon

from beanstalkd_py.binlog.records import Delete
from tests.tools.beanstalkd_binlog.logs import (
    AT,
    NEVER,
    append,
    flip,
    last_segment,
    newer,
    open_log,
    patch,
    put,
    segment,
    write,
)

# The tail


def read(directory: Path) -> Reading:
    reading = Reading(str(directory))
    for _ in reading:
        pass
    return reading


def tail_of(directory: Path) -> Tail:
    return Tail(str(directory), read(directory))


def polled(tail: Tail) -> list[int | str]:
    """LSNs; "gap" where some are missing."""
    found: list[int | str] = []
    for item in tail.poll():
        found.extend(["gap"] if isinstance(item, Gap) else range(item.first_lsn, item.next_lsn))
    return found


def test_tail_gives_what_is_new_and_only_that(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    assert polled(tail) == []
    append(log, [put(2), put(3)], AT)
    append(log, [Delete(1)], AT)
    assert polled(tail) == [2, 3, 4]
    assert polled(tail) == []
    log.close(AT)


def test_tail_says_how_far_the_log_claims_to_be_durable(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    tail = tail_of(tmp_path)
    assert tail.durable_lsn == 1
    append(log, [put(3)], AT)
    assert (polled(tail), tail.durable_lsn) == ([3], 2)
    log.write_watermark(AT)
    assert (polled(tail), tail.durable_lsn) == ([], 3)
    log.close(AT)


def test_without_syncs_what_is_written_is_all_there_will_be(tmp_path):
    log = open_log(tmp_path, durability=NEVER)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    append(log, [put(2)], AT)
    assert (polled(tail), tail.durable_lsn) == ([2], 2)
    log.close(AT)


def test_tail_goes_over_rotations(tmp_path):
    log = open_log(tmp_path)
    tail = tail_of(tmp_path)
    for id in range(1, 6):
        append(log, [put(id, body=b"x" * 2000)], AT)
    assert log.segment > 3
    assert polled(tail) == [1, 2, 3, 4, 5]
    assert tail.durable_lsn == 4
    log.close(AT)


def test_frame_that_is_written_by_halves_comes_when_it_is_whole(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    path = last_segment(tmp_path)
    before = path.read_bytes()
    append(log, [put(2, body=b"x" * 500)], AT)
    after = path.read_bytes()
    end = len(after.rstrip(b"\0"))
    for cut in (tail._offset + 3, tail._offset + 48, tail._offset + 300, end - 1):
        path.write_bytes(after[:cut] + before[cut:])
        assert polled(tail) == []
    path.write_bytes(after)
    assert polled(tail) == [2]
    log.close(AT)


def test_tail_goes_over_a_restart(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    append(log, [put(2)], AT)  # killed here
    again = open_log(tmp_path, at=AT + 2)
    assert polled(tail) == [2]
    assert tail.durable_lsn == 2  # by the new segment's header
    append(again, [put(3)], AT + 2)
    assert polled(tail) == [3]
    again.close(AT + 3)


def test_tail_goes_over_starts_that_replace_a_segment_without_records(tmp_path):
    write(tmp_path, [put(1)])
    tail = None
    for at in (AT + 10, AT + 20, AT + 30):
        log = open_log(tmp_path, at=at)
        tail = tail or tail_of(tmp_path)
        assert polled(tail) == []
        log.close(at)
    log = open_log(tmp_path, at=AT + 40)
    append(log, [put(2)], AT + 41)
    assert tail is not None and polled(tail) == [2]
    assert len(list(tmp_path.glob("*.wal"))) == 2
    log.close(AT + 42)


def test_tail_reads_to_the_end_of_a_segment_that_is_sealed_meanwhile(tmp_path, monkeypatch):
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 1000)], AT)
    tail = tail_of(tmp_path)
    following = Tail._following

    def busy(self):
        if log.lsn == 1:
            append(log, [put(2, body=b"x" * 1000)], AT)
            append(log, [put(3, body=b"x" * 3000)], AT)
        return following(self)

    monkeypatch.setattr(Tail, "_following", busy)
    assert polled(tail) == [2, 3]
    log.close(AT)


def test_tail_takes_no_frame_of_the_files_former_life(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    tail = tail_of(tmp_path)
    path = last_segment(tmp_path)
    patch(path, tail._offset, path.read_bytes()[HEADER_BYTES : tail._offset])
    assert polled(tail) == []
    log.close(AT)


def test_tail_knows_of_the_segment_that_was_put_in_the_place_of_an_empty_one(tmp_path):
    """Here the new one is never synced, so what is written counts."""
    write(tmp_path, [put(1)])
    open_log(tmp_path, at=AT + 10).close(AT + 10)
    tail = tail_of(tmp_path)
    log = open_log(tmp_path, durability=NEVER, at=AT + 20)
    append(log, [put(2)], AT + 20)
    assert (polled(tail), tail.durable_lsn) == ([2], 2)
    log.close(AT + 20)


@pytest.mark.parametrize("frames", [1, 5])
def test_another_log_in_the_same_place_is_begun_at_its_beginning(tmp_path, frames):
    """Somebody has emptied the directory, and started again."""
    write(tmp_path, *[[put(id, body=b"x" * 2000)] for id in range(1, 4)])
    tail = tail_of(tmp_path)
    for path in tmp_path.iterdir():
        path.unlink()
    write(tmp_path, *[[put(id, body=b"x" * 2000)] for id in range(1, 1 + frames)])
    assert polled(tail) == ["gap", *range(1, 1 + frames)]
    assert polled(tail) == []


def test_tail_from_an_empty_directory(tmp_path):
    tail = tail_of(tmp_path)
    assert polled(tail) == []
    write(tmp_path, [put(1)], [put(2)])
    assert polled(tail) == [1, 2]


def test_tail_that_was_too_slow_says_so(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 2000)], AT)
    tail = tail_of(tmp_path)
    for id in range(2, 7):
        append(log, [put(id, body=b"x" * 2000)], AT)
    log.retire(log.segment)
    append(log, [put(7)], AT)
    assert polled(tail) == ["gap", 6, 7]
    log.close(AT)


def test_tail_does_not_go_on_behind_damage_within_a_segment(tmp_path):
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    tail = tail_of(tmp_path)
    offset = tail._offset
    append(log, [put(2)], AT)
    append(log, [put(3)], AT)
    flip(last_segment(tmp_path), offset + 60)
    assert polled(tail) == []
    log.close(AT)


def test_tail_names_a_newer_version(tmp_path):
    log = open_log(tmp_path)
    tail = tail_of(tmp_path)
    log.close(AT)
    newer(tmp_path / "other")
    last_segment(tmp_path / "other").rename(segment(tmp_path, 4))
    with pytest.raises(wal.NewerVersion):
        polled(tail)


# The command


class Printed:
    """In the place of a Printer."""

    def __init__(self) -> None:
        self.lsns: list[int] = []

    def entry(self, entry: Entry) -> None:
        self.lsns.append(entry.lsn)


def test_what_is_written_but_not_durable_yet_is_not_shown(tmp_path):
    lock = wal.lock(tmp_path)
    log = open_log(tmp_path)
    append(log, [put(1)], AT)
    append(log, [put(2)], AT)
    printed = Printed()
    follower = Follower(Walk(str(tmp_path), replay=False), printed, Filter())  # type: ignore[arg-type]
    follower.begin(10)
    assert printed.lsns == [1]
    append(log, [put(3), put(4)], AT)
    follower.go_on()
    assert printed.lsns == [1, 2]
    log.write_watermark(AT)
    follower.go_on()
    assert printed.lsns == [1, 2, 3, 4]
    log.close(AT)
    lock.close()


def test_what_was_read_before_a_gap_is_shown(tmp_path):
    """It was durable, or the server could not have dropped it."""
    lock = wal.lock(tmp_path)
    log = open_log(tmp_path)
    append(log, [put(1, body=b"x" * 2000)], AT)
    printed = Printed()
    follower = Follower(Walk(str(tmp_path), replay=False), printed, Filter())  # type: ignore[arg-type]
    follower.begin(10)
    assert printed.lsns == []
    for id in range(2, 7):
        append(log, [put(id, body=b"x" * 2000)], AT)
    log.retire(log.segment)
    append(log, [put(7)], AT)
    log.write_watermark(AT)
    follower.go_on()
    assert printed.lsns == [1, 6, 7]
    log.close(AT)
    lock.close()


# Beside a real server


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
        out, err = self.process.communicate(timeout=20)
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


def test_follow_goes_over_rotations_and_misses_nothing(follow, daemon: Daemon, tmp_path):
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
    daemon.options.append("-F")
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
    assert following.events(2) == [("put", 1), ("put", 2)]  # a start takes all of it
    daemon.start()
    with daemon.connect() as client:
        say(client, b"delete 1\r\n")
        assert following.events(1) == [("delete", 1)]
    status, _, said = following.stop()
    assert (status, said) == (
        130,
        f"beanstalkd-binlog: {tmp_path / 'log'}: no server has it open; waiting for one\n",
    )


def test_follow_that_was_stopped_for_long_reads_anew(follow, daemon: Daemon, tmp_path):
    """What the server dropped meanwhile is missed, and said; jobs are known all the same."""
    daemon.start()
    with daemon.connect() as client:
        say(client, b"use mail\r\nput 1 0 60 1\r\nx\r\nwatch mail\r\nreserve\r\nbury 1 5\r\n", 6)
        following = follow(tmp_path / "log", "--job", "1", "--kind", "bury", "--kind", "kick")
        assert following.events(1) == [("bury", 1)]
        following.process.send_signal(signal.SIGSTOP)
        oldest = min(tmp_path.glob("log/*.wal"))
        for id in range(2, 400, 10):
            say(client, (b"put 1 0 60 3000\r\n" + b"x" * 3000 + b"\r\n") * 10, 10)
            say(client, b"".join(b"delete %d\r\n" % each for each in range(id, id + 10)), 10)
        assert not oldest.exists()
        say(client, b"kick-job 1\r\n")
        following.process.send_signal(signal.SIGCONT)
        last = following.line()
        assert (last["event"], last["job"], last["tube"], last["was"]) == (
            "kick",
            1,
            "mail",
            {"state": "buried", "kicks": 0},
        )
    assert "what came meanwhile was dropped" in following.stop()[2]


def test_follow_ends_quietly_when_nobody_reads(follow, daemon: Daemon, tmp_path):
    daemon.start()
    following = follow(tmp_path / "log")
    following.process.stdout.close()
    with daemon.connect() as client:
        say(client, b"put 1 0 60 1\r\nx\r\n")
        assert following.process.wait(20) == 0
    assert following.process.stderr.read() == ""
