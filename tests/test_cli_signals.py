"""Signals while the daemon still starts: it listens, and reads its log."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from testkit.daemon import OURS, Daemon
from testkit.start import Start
from testkit.waiting import wait_until

SLOW_REPLAY = """
import os, sys, time
from beanstalkd_py import cli
from beanstalkd_py.binlog import replay

whole = replay.Replayer.apply

def apply(self, frame):
    while not os.path.exists("%s"):
        time.sleep(0.01)
    whole(self, frame)

replay.Replayer.apply = apply
sys.exit(cli.main(["slow", *sys.argv[1:]]))
"""


@pytest.fixture
def reading(start: Start, launch: Start, log: str, tmp_path: Path) -> Daemon:
    """A daemon that listens, and reads its log until the file `go` appears."""
    first = start("-b", log)
    first.client().put()
    first.stop()
    daemon = launch("-b", log, program=(sys.executable, "-c", SLOW_REPLAY % (tmp_path / "go")))
    wait_until(daemon.listens, "the daemon listens")
    return daemon


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_during_replay_ends_in_order(
    reading: Daemon, tmp_path: Path, start: Start, log: str, number: signal.Signals
) -> None:
    client = reading.client()
    assert reading.stop(number) == 0
    assert reading.said() == ""
    assert client.rest() == b""
    assert not (tmp_path / "socket").exists()
    assert start("-b", log).client().stat(b"current-jobs-ready") == b"1"


SIGNAL_AT_BIND = """
import os, signal, socket, sys
from beanstalkd_py import cli

class Socket(socket.socket):
    def bind(self, address):
        super().bind(address)
        if address.endswith("%s"):
            os.kill(os.getpid(), signal.SIGTERM)

socket.socket = Socket
sys.exit(cli.main(["signalled", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("name", ["socket", "http"])
def test_stop_as_soon_as_the_socket_file_exists_removes_it(
    launch: Start, tmp_path: Path, name: str
) -> None:
    program = (sys.executable, "-c", SIGNAL_AT_BIND % f"/{name}")
    daemon = launch("--http", f"unix:{tmp_path}/http", program=program)
    assert daemon.wait_end() == 0
    assert daemon.said() == ""
    assert os.listdir(tmp_path) == []


def test_drain_during_replay_is_kept(reading: Daemon, tmp_path: Path) -> None:
    reading.send_signal(signal.SIGUSR1)
    (tmp_path / "go").touch()
    client = reading.client()
    assert client.stat(b"draining") == b"true"
    assert client.ask(b"put 0 0 60 1\r\nx\r\n") == b"DRAINING\r\n"
    assert client.ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"


def test_commands_sent_during_replay_are_answered_later(reading: Daemon, tmp_path: Path) -> None:
    client = reading.client()
    client.say(b"reserve\r\n")
    (tmp_path / "go").touch()
    assert client.hear() == [b"RESERVED 1 1\r\nx\r\n"]


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root may make a process number 1",
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_ends_with_status_143(start: Start, number: signal.Signals, log: str) -> None:
    daemon = start("-b", log, program=("unshare", "--pid", "--fork", "--kill-child", *OURS))
    client = daemon.client()
    assert client.stat(b"pid") == b"1"
    child = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text()
    os.kill(int(child), number)
    assert daemon.wait_end() == 143
    assert daemon.said() == ""


FAILS = """
import os, sys
from beanstalkd_py import cli
from beanstalkd_py.protocol import dispatch
import beanstalkd_wal as wal

def touch(self, client, now, command):
    raise %s

dispatch.Dispatcher.touch = touch
sys.argv[0] = "fails"
cli.run()
"""


@pytest.mark.parametrize(
    ("failure", "status"),
    [("AssertionError('an invariant')", 70), ("wal.LogFailed('file', 0, 5)", 74)],
)
def test_signals_at_the_end_keep_the_status_of_the_failure(
    start: Start, log: str, failure: str, status: int
) -> None:
    daemon = start("-b", log, program=(sys.executable, "-c", FAILS % failure))
    client = daemon.client()
    client.put()
    client.say(b"touch 1\r\n")
    assert client.rest() == b""  # it is ending
    while daemon.is_up():
        for number in signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGPIPE:
            daemon.send_signal(number)
    assert daemon.wait_end() == status


SIGNAL_WHILE_REPORTING = """
import os, signal, sys
from beanstalkd_py import cli

write = cli.Stderr.write

def signalled(self, line, wait_s):
    os.kill(os.getpid(), signal.%s)
    return write(self, line, wait_s)

cli.Stderr.write = signalled
sys.argv[0] = "refused"
cli.run()
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_signal_while_a_start_is_refused_keeps_the_status(
    launch: Start, tmp_path: Path, name: str
) -> None:
    program = (sys.executable, "-c", SIGNAL_WHILE_REPORTING % name)
    daemon = launch("-b", f"{tmp_path}/missing", program=program)
    assert daemon.wait_end() == 10
    assert daemon.said().count("\n") == 1


SIGNAL_WHILE_IMPORTING = """
import builtins, os, signal, sys
from beanstalkd_py.__main__ import run

really_import = builtins.__import__

def signalled(name, *arguments):
    if name == "gevent":
        builtins.__import__ = really_import
        os.kill(os.getpid(), signal.%s)
    return really_import(name, *arguments)

builtins.__import__ = signalled
run()
"""


def test_drain_signal_before_the_server_has_handlers_drains(start: Start) -> None:
    daemon = start(program=(sys.executable, "-c", SIGNAL_WHILE_IMPORTING % "SIGUSR1"))
    assert daemon.client().stat(b"draining") == b"true"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_stop_signal_before_the_server_has_handlers_stops(
    launch: Start, tmp_path: Path, name: str
) -> None:
    daemon = launch(program=(sys.executable, "-c", SIGNAL_WHILE_IMPORTING % name))
    assert (daemon.wait_end(), daemon.said()) == (0, "")
    assert not (tmp_path / "socket").exists()
