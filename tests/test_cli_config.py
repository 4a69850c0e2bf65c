"""--config and --check-config of the installed program's start."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from testkit.start import Start

USAGE = "Use: beanstalkd-py "


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beanstalkd.toml"


@pytest.mark.parametrize("check", [[], ["--check-config"]])
def test_every_mistake_is_a_line_with_status_5(launch: Start, path: Path, check: list[str]) -> None:
    path.write_text("verbosity = 7\n\nuser = 1\n")
    daemon = launch("--config", str(path), *check)
    assert daemon.wait_end() == 5
    assert daemon.said() == (
        f"beanstalkd-py: {path}:1: verbosity: expected an integer from 0 to 2, found 7\n"
        f"beanstalkd-py: {path}:3: user: expected a string, found 1\n"
    )


def test_correct_file_is_checked_without_a_start(launch: Start, path: Path, log: str) -> None:
    path.write_text(f'wal_dir = "{log}/missing"\n')
    daemon = launch("--check-config", "--config", str(path))
    assert daemon.wait_end() == 0
    assert (daemon.output(), daemon.errors()) == (f"beanstalkd-py: {path}: no mistakes\n", "")


def test_wrong_command_line_comes_before_the_file(launch: Start, path: Path) -> None:
    daemon = launch("--check-config", "--config", str(path), "word")
    assert daemon.wait_end() == 5
    assert daemon.said().startswith("beanstalkd-py: unknown argument: word\nUse: ")


def test_file_sets_what_flags_set(start: Start, path: Path, log: str) -> None:
    path.write_text(f'wal_dir = "{log}"\nsegment_bytes = 65536\nmax_job_size = 7\nsync_ms = 9\n')
    client = start("--config", str(path)).client()
    client.put(b"x" * 7)
    assert client.ask(b"put 0 0 60 8\r\n" + b"x" * 8 + b"\r\n") == b"JOB_TOO_BIG\r\n"
    assert client.stat(b"binlog-max-size") == b"65536"
    assert (Path(log) / "00000001.wal").stat().st_size == 65536


SIGNAL_WHILE_IMPORTING = """
import builtins, os, pathlib, signal, sys
from beanstalkd_py.__main__ import run

really_import = builtins.__import__

def signalled(name, *arguments):
    if name == "gevent":
        builtins.__import__ = really_import
        os.kill(os.getpid(), signal.SIGHUP)
    return really_import(name, *arguments)

builtins.__import__ = signalled
run()
"""


@pytest.mark.parametrize("with_file", [True, False])
def test_hang_up_before_the_server_has_handlers(launch: Start, path: Path, with_file: bool) -> None:
    path.touch()
    program = (sys.executable, "-c", SIGNAL_WHILE_IMPORTING)
    options = ["--config", str(path)] if with_file else []
    daemon = launch(*options, program=program)
    if not with_file:
        assert daemon.wait_end() == -signal.SIGHUP
        return
    daemon.wait_ready()
    assert daemon.errors().endswith(f": reloaded {path}: nothing has changed\n")
    assert daemon.ready_line()
