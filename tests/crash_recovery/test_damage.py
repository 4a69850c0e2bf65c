"""Damage, newer versions and locks: the start ends with one message and a status, and changes
nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from killtest.conversation import Conversation, put
from killtest.directory import contents, sizes
from testkit.daemon import INSTALLED, Daemon, DidNotStart
from testkit.waiting import HANG_S, wait_until

OPTIONS = ("-s", "65536")
DAMAGED, LOCKED = 65, 10


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[int]]:
    """The log of a killed server, with jobs in several segments; and their ids."""
    directory = tmp_path_factory.mktemp("killed")
    with Daemon(OPTIONS, directory=directory, program=INSTALLED) as daemon:
        daemon.start()
        with Conversation(daemon.connect()) as client:
            ids = [reply.id for reply in client.ask(*[put(os.urandom(1000))] * 300)]
    return directory, ids


@pytest.fixture
def jobs(daemon: Daemon, directory: Path, killed: tuple[Path, list[int]]) -> list[int]:
    """The ids of the jobs in a copy of that log, which is the daemon's."""
    daemon.options = OPTIONS
    shutil.copytree(killed[0], directory, dirs_exist_ok=True)
    return killed[1]


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.wal"))


def flip(path: Path, offset: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def refusal(daemon: Daemon) -> str:
    """The message of a start that must be refused without changing the directory."""
    before = contents(daemon.directory)
    with pytest.raises(DidNotStart) as refused:
        daemon.start()
    assert refused.value.status == DAMAGED
    assert contents(daemon.directory) == before
    (line,) = refused.value.said.splitlines()
    return line


def assert_all_there(daemon: Daemon, ids: list[int]) -> None:
    with Conversation(daemon.connect()) as client:
        assert {reply.words[0] for reply in client.ask(*[b"peek %d" % id for id in ids])} == {
            b"FOUND"
        }


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_flipped_bit_in_a_sealed_segment_stops_the_start(daemon, directory, jobs, where):
    path = segments(directory)[1]
    flip(path, int(where * path.stat().st_size))
    line = refusal(daemon)
    found = re.search(rf"{re.escape(str(path))}: corrupt at offset (\d+)", line)
    assert found and int(found[1]) <= where * path.stat().st_size
    flip(path, int(where * path.stat().st_size))
    daemon.start()
    assert_all_there(daemon, jobs)


def test_lost_segment_stops_the_start(daemon, directory, jobs):
    path = segments(directory)[1]
    content = path.read_bytes()
    path.unlink()
    assert segments(directory)[0].name in refusal(daemon)
    path.write_bytes(content)
    daemon.start()
    assert_all_there(daemon, jobs)


def test_newer_version_is_named_and_left_alone(daemon, directory, jobs):
    path = segments(directory)[-1]
    with open(path, "r+b") as file:
        for copy in (0, 512):
            file.seek(copy + 8)
            file.write(struct.pack("<I", 99))
    line = refusal(daemon)
    assert str(path) in line and "99 is newer" in line


def test_torn_tail_is_cut_reported_once_and_kept(daemon, directory, jobs):
    path = segments(directory)[-1]
    (last,) = [info for info in replayed(directory).segments if info.path == str(path)]
    garbage = b"\xf7 the start of an incomplete frame" + os.urandom(100)
    with open(path, "r+b") as file:
        file.seek(last.used_bytes)
        file.write(garbage)
    daemon.start()
    (line,) = daemon.errors().splitlines()
    assert str(path) in line and str(last.used_bytes) in line
    (kept,) = directory.glob("torn.*")
    assert kept.read_bytes() == garbage.rstrip(b"\0")
    assert_all_there(daemon, jobs)
    assert daemon.stop() == 0
    daemon.start()
    assert daemon.errors() == ""
    assert [kept] == list(directory.glob("torn.*"))


def replayed(directory: Path) -> wal.Replay:
    replay = wal.Replay(directory)
    for _ in replay:
        pass
    return replay


def test_damage_to_an_idle_log_is_corrupt_not_torn(daemon, directory):
    daemon.start()
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"one"), put(b"the last"))
    wait_until(lambda: replayed(directory).watermark >= 2, lambda: replayed(directory).watermark)
    daemon.kill()
    path = segments(directory)[-1]
    flip(path, path.read_bytes().index(b"the last"))
    assert f"{path}: corrupt at offset" in refusal(daemon)


# Locks


def names(directory: str | Path) -> set[str]:
    """The names of all files, except spares."""
    return {name for name in sizes(directory) if not name.startswith("spare.")}


def locked_out(daemon: Daemon) -> str:
    before = names(daemon.directory)
    with pytest.raises(DidNotStart) as refused:
        daemon.start()
    assert refused.value.status == LOCKED
    assert names(daemon.directory) == before
    (line,) = refused.value.said.splitlines()
    return line


def test_second_server_is_locked_out(daemon, directory):
    daemon.start()
    with Daemon(directory=directory, program=INSTALLED) as second:
        assert str(directory) in locked_out(second)
        with Conversation(daemon.connect()) as client:
            assert client.say(put(b"still there")) == ["INSERTED 1"]
        daemon.kill()
        second.start()
        assert_all_there(second, [1])


def test_removed_lock_file_lets_no_second_server_in(daemon, directory):
    """The directory itself is locked too. The first server ends before it can do damage."""
    daemon.start(OPTIONS)
    with Daemon(directory=directory, program=INSTALLED) as second:
        with Conversation(daemon.connect()) as client:
            assert client.say(put(b"one")) == ["INSERTED 1"]
        with daemon.stopped(), pytest.raises(DidNotStart) as refused:
            (directory / "lock").unlink()
            second.start(OPTIONS)
        assert refused.value.status == LOCKED
        assert daemon.wait_end() == LOCKED
        (line,) = daemon.errors().splitlines()
        assert f"{directory}/lock: the lock file was removed or replaced" in line
        second.start(OPTIONS)
        assert_all_there(second, [1])


@pytest.fixture
def c_server() -> str:
    found = shutil.which("beanstalkd", path=f"{os.environ['PATH']}:/usr/bin")
    if found is None:
        missing = "the C server, beanstalkd, is not installed"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@contextmanager
def running(c_server: str, directory: Path, path: Path) -> Iterator[subprocess.Popen[str]]:
    """The C server on a unix socket."""
    process = subprocess.Popen(
        [c_server, "-l", f"unix:{path}", "-b", directory], stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(b"list-tube-used\r\n")
            return bool(connection.recv(100))
        except OSError:
            return False


def test_c_server_locks_us_out(daemon, directory, tmp_path, c_server):
    path = tmp_path / "socket"
    with running(c_server, directory, path):
        wait_until(lambda: answers(path), lambda: "the C server does not reply")
        assert str(directory) in locked_out(daemon)


def test_we_lock_the_c_server_out(daemon, directory, tmp_path, c_server):
    daemon.start()
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"ours"))
        before = names(directory)
        with running(c_server, directory, tmp_path / "socket") as process:
            assert process.wait(HANG_S) == LOCKED
            assert process.stderr is not None and "lock" in process.stderr.read()
        assert names(directory) == before
        assert client.say(b"peek 1") == ["FOUND 1 4"]
