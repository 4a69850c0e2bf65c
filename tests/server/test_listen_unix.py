"""Listeners on unix sockets, and the socket's file."""

import errno
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import beanstalkd_wal as wal
import pytest

from beanstalkd_py.config.options import Options
from beanstalkd_py.server import listen as listen_module
from beanstalkd_py.server import socket_lock
from beanstalkd_py.server.listen import listen
from tests.server.listeners import answers, failure, open_listeners, python_path


def leave_stale(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()


def test_unix_socket_file_is_removed_at_the_end(path):
    with open_listeners(f"unix:{path}", port="no matter") as listeners:
        assert not listeners.sockets[0].getblocking()
        assert answers(socket.AF_UNIX, path)
    assert not os.path.lexists(path)


def test_unix_socket_mode_comes_from_the_umask(path):
    before = os.umask(0o027)
    try:
        with open_listeners(f"unix:{path}"):
            assert stat.S_IMODE(os.lstat(path).st_mode) == 0o750
    finally:
        os.umask(before)


def test_socket_file_is_removed_after_a_change_of_directory(path, tmp_path, monkeypatch):
    with open_listeners(f"unix:{path}"):
        monkeypatch.chdir("/")
    assert not (tmp_path / path).exists()


def test_socket_of_a_dead_server_is_replaced(path):
    leave_stale(path)
    said = []
    with open_listeners(f"unix:{path}", said=said):
        assert said == ["removing existing local socket to replace it"]
        assert answers(socket.AF_UNIX, path)


def test_socket_of_a_live_server_is_not_taken(path):
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(path)
        alive.listen()
        before = os.lstat(path)
        assert failure(f"unix:{path}") == (f"unix:{path}: another server is listening there",)
        assert os.path.samestat(os.lstat(path), before)


def test_server_with_a_full_backlog_counts_as_alive(path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(path)
        busy.listen(0)
        client.connect(path)  # fills the backlog
        (line,) = failure(f"unix:{path}")
        assert (
            line
            == f"unix:{path}: another server may be listening there: {os.strerror(errno.EAGAIN)}"
        )
        assert os.path.lexists(path)


def test_socket_of_another_kind_is_not_taken(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        (line,) = failure(f"unix:{path}")
        assert line.startswith(f"unix:{path}: another server may be listening there: ")
        assert os.path.lexists(path)


def test_vanished_socket_file_is_no_error(path, monkeypatch):
    """Its server may end, and remove it, at any moment."""
    leave_stale(path)
    really_check = listen_module._check_no_server_answers

    def check_what_goes(path):
        os.unlink(path)
        really_check(path)

    monkeypatch.setattr(listen_module, "_check_no_server_answers", check_what_goes)
    with open_listeners(f"unix:{path}"):
        assert answers(socket.AF_UNIX, path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: open(path, "w").close(),
        os.mkdir,
        lambda path: os.symlink("nowhere", path),
        os.mkfifo,
    ],
)
def test_other_files_are_left_alone(path, make):
    make(path)
    before = os.lstat(path)
    assert failure(f"unix:{path}") == (
        f"unix:{path}: another file already exists in the given path",
    )
    assert os.path.samestat(os.lstat(path), before)


def test_too_long_path_fails(path):
    fits = "x" * 107
    with open_listeners(f"unix:{fits}"):
        assert answers(socket.AF_UNIX, fits)
    # 54 letters of two bytes
    long = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 54
    assert failure(f"unix:{long}") == (
        f"socket path {long} is too long (108 characters), where maximum allowed is 107",
    )


def test_empty_path_fails(path):
    assert failure("unix:") == ("unix: no socket path is named",)


def test_missing_directory_fails(path):
    assert failure("unix:missing/s") == ("unix:missing/s: missing: No such file or directory",)


def test_only_our_own_file_is_removed(path):
    with socket.socket(socket.AF_UNIX) as other:
        with open_listeners(f"unix:{path}"):
            os.unlink(path)
            other.bind(path)
            other.listen()
        assert answers(socket.AF_UNIX, path)


def test_close_without_the_socket_file_is_no_error(path):
    with open_listeners(f"unix:{path}"):
        os.unlink(path)


def test_second_close_leaves_the_next_servers_file(path):
    first = listen(Options(address=f"unix:{path}"), pytest.fail, {})
    first.close()
    with open_listeners(f"unix:{path}"):
        first.close()
        assert answers(socket.AF_UNIX, path)


def test_lock_covers_connect_unlink_and_bind(path, monkeypatch):
    """A second server that starts while the first one replaces a stale file waits, and then finds
    it answering.
    """
    leave_stale(path)
    monkeypatch.setattr(socket_lock, "LOCK_TIMEOUT_S", 0.0)
    really_check = listen_module._check_no_server_answers
    lines = []

    def check_and_let_another_start(path):
        really_check(path)
        monkeypatch.setattr(listen_module, "_check_no_server_answers", really_check)
        lines.extend(failure(f"unix:{path}"))

    monkeypatch.setattr(listen_module, "_check_no_server_answers", check_and_let_another_start)
    with open_listeners(f"unix:{path}", said=[]):
        assert lines == [f"unix:{path}: {path}.lock: {os.strerror(errno.EAGAIN)}"]
        assert answers(socket.AF_UNIX, path)


def test_lock_file_is_removed(path):
    with open_listeners(f"unix:{path}"), open_listeners("unix:another.sock"):
        assert sorted(os.listdir()) == ["another.sock", path]


@pytest.mark.parametrize("make", [Path.touch, os.mkfifo, lambda file: file.write_text("x")])
def test_lock_file_of_a_killed_server_is_used_and_others_are_not(path, make):
    file = Path(f"{path}.lock")
    make(file)
    if file.is_file() and not file.stat().st_size:
        with open_listeners(f"unix:{path}"):
            assert not file.exists()
    else:
        line = f"unix:{path}: {path}.lock: another file already exists in the given path"
        assert failure(f"unix:{path}") == (line,)
        assert file.exists()


def test_lock_that_was_removed_while_waiting_is_taken_again(path, monkeypatch):
    """The server that holds the lock removes its file at the end of the steps."""
    really_wait = socket_lock._wait
    inodes = []

    def wait(fd, give_up_at):
        inodes.append(os.fstat(fd).st_ino)
        if len(inodes) == 1:
            Path(f"{path}.lock").replace("old")
        really_wait(fd, give_up_at)

    monkeypatch.setattr(socket_lock, "_wait", wait)
    with open_listeners(f"unix:{path}"):
        assert len(set(inodes)) == 2
        assert sorted(os.listdir()) == [path, "old"]


def test_socket_and_log_of_two_servers_may_share_a_directory(path, monkeypatch):
    """Neither lock keeps the other server out."""
    monkeypatch.setattr(socket_lock, "LOCK_TIMEOUT_S", 0.0)
    log = wal.lock(".")
    with open_listeners(f"unix:{path}"):
        log.close()
    with socket_lock.locked(path):
        wal.lock(".").close()


STARTER = """
import sys
from beanstalkd_py.server.listen import ListenFailed, listen
from beanstalkd_py.config.options import Options
print("ready", flush=True)
sys.stdin.readline()
try:
    listeners = listen(Options(address="unix:" + sys.argv[1]), lambda text: None, {})
    print("listening", flush=True)
    sys.stdin.readline()
    listeners.close()
except ListenFailed as failed:
    print(*failed.lines, flush=True)
"""


def test_one_of_several_starting_servers_gets_a_stale_socket(path):
    leave_stale(path)
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=python_path(),
        )
        for _ in range(5)
    ]
    try:
        for each in starters:
            assert each.stdout.readline() == "ready\n"
        for each in starters:
            each.stdin.write("go\n")
            each.stdin.flush()
        results = sorted(each.stdout.readline() for each in starters)
        assert results == sorted(
            ["listening\n"] + 4 * [f"unix:{path}: another server is listening there\n"]
        )
        assert answers(socket.AF_UNIX, path)
    finally:
        for each in starters:
            each.communicate("end\n")
    assert not os.path.lexists(path)
