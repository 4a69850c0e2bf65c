"""What beanstalkd-binlog writes to pipes and terminals."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import pytest
from testkit.daemon import ROOT

from tests.tools.beanstalkd_binlog.logs import put, write
from tests.tools.beanstalkd_binlog.programs import started

# Pipes


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More output than a pipe holds."""
    directory = tmp_path_factory.mktemp("long")
    return write(
        directory,
        *[[put(id, body=b"x" * 200) for id in range(n, n + 100)] for n in range(1, 2000, 100)],
        segment_bytes=1 << 20,
    )


@pytest.mark.parametrize("command", ["dump", "jobs"])
def test_closed_pipe_ends_a_command_with_status_0(long_log, command):
    with started(command, long_log, "--json", stdout=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize(("name", "status"), [("clean", 0), ("torn", 1), ("flipped", 2)])
def test_verify_keeps_its_status_when_the_pipe_is_closed(golden, name, status):
    read_end, write_end = os.pipe()
    os.close(read_end)
    with started("verify", golden[name], stdout=write_end) as process:
        os.close(write_end)
        assert process.stderr.read() == b""
    assert process.returncode == status


def test_text_that_the_locale_cannot_encode_is_escaped(golden):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}
    with started("dump", golden["clean"], stdout=subprocess.PIPE, env=environment) as process:
        assert b"w\\xf6rld" in process.stdout.read()


# Terminals


def on_terminal(
    *words: object, columns: int = 80, stderr_only: bool = False, short_s: float = 1000.0
) -> str:
    """What a terminal shows of a command's stderr, and of its stdout unless stderr_only.

    short_s: work that takes less time shows no progress bar.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {
        key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")
    }
    setup = f"from beanstalkd_binlog import progress; progress.DELAY_S = {short_s}; "
    command = [
        sys.executable,
        "-c",
        f"{setup}from beanstalkd_binlog.cli import main; main()",
        *map(str, words),
    ]
    stdout = subprocess.DEVNULL if stderr_only else slave
    process = subprocess.Popen(
        command, cwd=ROOT / "tools", stdin=slave, stdout=stdout, stderr=slave, env=environment
    )
    os.close(slave)
    shown = b""
    with suppress(OSError):  # EIO: the other end is closed
        while piece := os.read(master, 65536):
            shown += piece
    os.close(master)
    process.wait()
    return shown.decode()


@pytest.mark.parametrize("columns", [80, 132])
def test_tables_fit_the_terminal(golden, columns):
    for words in (
        ["dump", golden["clean"]],
        ["jobs", golden["clean"]],
        ["history", golden["clean"], 4],
    ):
        lines = on_terminal(*words, columns=columns).splitlines()
        assert max(map(len, lines)) == columns and any(line.endswith("…") for line in lines)


def test_narrow_terminal_leaves_out_the_place_of_a_record(golden):
    narrow = on_terminal("dump", golden["clean"], columns=80).splitlines()
    wide = on_terminal("dump", golden["clean"], columns=132).splitlines()
    assert narrow[0].split() == ["lsn", "time", "event", "job", "tube", "changes", "…"]
    assert wide[0].split() == [*"lsn segment offset time event job tube changes body".split()]
    assert "state ready" in narrow[5] and "damage  " in on_terminal("dump", golden["flipped"])


def test_full_is_not_cut_on_a_terminal(golden):
    assert "x" * 2500 in on_terminal("dump", golden["clean"], "--full")


def test_sizes_have_units_on_a_terminal(golden):
    shown = on_terminal("ls", golden["clean"], columns=200)
    assert " 1.5 KiB " in shown and " 110 B " in shown
    assert "4 segments, 11.5 KiB, of which 4.3 KiB live\r\n" in shown
    assert "0 preallocated segments, 0 B\r\n" in shown
    assert "5 jobs, 4.0 KiB of bodies\r\n" in on_terminal("stats", golden["clean"], columns=200)


def test_json_is_the_same_on_a_terminal(run, golden):
    shown = on_terminal("ls", golden["clean"], "--json", columns=40)
    assert shown.replace("\r\n", "\n") == run("ls", golden["clean"], "--json").stdout


def test_progress_bar_of_long_work_is_on_a_terminal_only(long_log, run):
    shown = on_terminal("verify", long_log, stderr_only=True, short_s=0.0)
    assert "verifying" in shown and "100%" in shown
    assert on_terminal("verify", long_log, stderr_only=True) == ""
    assert run("verify", long_log).stderr == ""


def test_progress_bar_is_not_shown_in_a_pipe(run, long_log, monkeypatch):
    monkeypatch.setattr("beanstalkd_binlog.progress.DELAY_S", 0)
    assert run("verify", long_log).stderr == ""


def test_progress_bar_ends_before_output_begins(golden):
    for command, last in (
        ("ls", "segments, 0 B"),
        ("verify", "5 jobs"),
        ("jobs", "zzz…"),
        ("stats", "4"),
    ):
        bar, _, rest = on_terminal(command, golden["clean"], short_s=0.0).rpartition("%")
        assert ("verifying" if command == "verify" else "reading") in bar
        assert rest.startswith("\x1b[?25h\r\n") and rest.endswith(f"{last}\r\n")


def test_progress_bar_does_not_mix_with_rows(golden):
    assert "%" not in on_terminal("dump", golden["clean"], short_s=0.0)
    assert "%" in on_terminal("dump", golden["clean"], short_s=0.0, stderr_only=True)


def test_interrupted_follow_leaves_no_traceback(golden):
    with started("follow", golden["clean"], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read()
    assert process.returncode == 130
