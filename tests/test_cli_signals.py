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
