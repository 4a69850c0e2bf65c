"""Events on stderr of a running server, as text, as JSON, and for the journal."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from testkit.client import Client
from testkit.daemon import ROOT, Daemon
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py import __version__
from beanstalkd_py.config import version
from beanstalkd_py.host.events import PER_MINUTE

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SECONDS = r"after \d+\.\d s"


def events(daemon: Daemon) -> list[dict[str, Any]]:
    """Each without its time, which must be there."""
    found = [json.loads(line) for line in daemon.events().splitlines()]
    assert all(re.fullmatch(STAMP, event.pop("time")) for event in found)
    return found


def test_life_of_a_server_as_text(start: Start, log: str) -> None:
    daemon = start("-b", log)
    daemon.send_signal(signal.SIGUSR1)
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: "draining" in daemon.events(), "the server drains")
    assert daemon.stop() == 0
    build = f"{__version__} ({version.build()})"
    address = re.escape(f"{build} on {daemon.address}, log {log}: 0 jobs in 1 segment")
    expected = [
        f"{STAMP} info beanstalkd-py: ready: {address}, {SECONDS}",
        f"{STAMP} warning beanstalkd-py: draining: puts are refused",
        f"{STAMP} info beanstalkd-py: stopping: SIGTERM",
    ]
    assert re.fullmatch("\n".join([*expected, ""]), daemon.events())


def test_life_of_a_server_as_json(start: Start, log: str) -> None:
    daemon = start("-b", log, "--log-format=json")
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: "draining" in daemon.events(), "the server drains")
    assert daemon.stop(signal.SIGINT) == 0
    ready, draining, stopping = events(daemon)
    assert ready.pop("message").startswith(f"ready: {__version__} (")
    assert 0 < ready.pop("seconds") < 1000
    assert ready == {
        "level": "info",
        "event": "ready",
        "version": __version__,
        "build": version.build(),
        "address": daemon.address,
        "directory": log,
        "jobs": 0,
        "segments": 1,
    }
    assert (draining["level"], draining["event"]) == ("warning", "draining")
    assert stopping == {
        "level": "info",
        "event": "stopping",
        "message": "stopping: SIGINT",
        "why": "SIGINT",
    }


def test_client_that_switches_draining_is_noticed(start: Start) -> None:
    daemon = start("--log-format=json")
    client = daemon.client()
    assert client.ask(b"drain on\r\n") == b"DRAIN on\r\n"
    wait_until(lambda: '"draining"' in daemon.events(), "the operator is told")
    assert client.ask(b"drain off\r\n") == b"DRAIN off\r\n"
    wait_until(lambda: '"draining_ended"' in daemon.events(), "the operator is told")


def answered(client: Client) -> bytes:
    """b"" if the server closes the connection."""
    with suppress(ConnectionError):
        return client.ask(b"list-tube-used\r\n")
    return b""


def test_last_moments_before_a_stop_are_reported(start: Start) -> None:
    """Otherwise timers report refusals and drains, some seconds later."""
    daemon = start("--log-format=json", "--max-memory=1000", "--max-connections=3")
    client = daemon.client()
    client.put(bytes(500))
    client.say(b"put 0 0 60 500\r\n%b\r\n" % bytes(500) * 2 + b"drain on\r\n")
    assert client.hear(3)[1:] == [b"OUT_OF_MEMORY\r\n", b"DRAIN on\r\n"]
    clients = [daemon.client() for _ in range(6)]
    refused = [client for client in clients if not answered(client)]
    assert daemon.stop() == 0
    ready, *between, stopping = [event["event"] for event in events(daemon)]
    assert (ready, stopping) == ("ready", "stopping")
    assert sorted(between) == ["draining", *["limit_reached"] * 2, *["puts_refused"] * 2]
    first = events(daemon)[0]
    assert first["max_memory"] == 1000 and ", at most 1000 bytes of jobs, " in first["message"]
    assert [event["refused"] for event in events(daemon) if "refused" in event] == [2]
    assert [event["times"] for event in events(daemon) if "times" in event] == [
        1,
        len(refused) - 1,
    ]


SIGNAL_WHILE_IMPORTING = """
import os, signal
from beanstalkd_py import __main__
from beanstalkd_py.host import signals

block = signals.block

def blocked():
    block()
    os.kill(os.getpid(), signal.{})

signals.block = blocked
__main__.run()
"""


def test_drain_during_the_start_is_an_event(start: Start) -> None:
    program = (sys.executable, "-c", SIGNAL_WHILE_IMPORTING.format("SIGUSR1"))
    daemon = start("--log-format=json", program=program)
    assert [event["event"] for event in events(daemon)] == ["draining", "ready"]


def test_stop_during_the_start_is_an_event(launch: Start) -> None:
    program = (sys.executable, "-c", SIGNAL_WHILE_IMPORTING.format("SIGTERM"))
    daemon = launch("--log-format=json", program=program)
    assert daemon.wait_end() == 0
    (event,) = events(daemon)
    assert event["message"] == "stopping: SIGTERM before the server was ready"


def test_level_leaves_out_what_matters_less(start: Start, launch: Start, log: str) -> None:
    daemon = start("-b", log, "--log-level=warning")
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: "draining" in daemon.events(), "the server drains")
    assert daemon.stop() == 0
    assert daemon.events().count("\n") == 1


def test_refused_start_is_an_error(launch: Start, tmp_path: Path) -> None:
    daemon = launch("-b", f"{tmp_path}/missing", "--log-format=json", "--log-level=error")
    assert daemon.wait_end() == 10
    (event,) = events(daemon)
    assert (event["level"], event["event"], event["status"]) == ("error", "failed", 10)
    assert event["message"] == (
        f"failed to lock wal dir {tmp_path}/missing: No such file or directory"
    )


def test_mistake_in_the_file_is_in_the_format_of_the_flags(launch: Start, tmp_path: Path) -> None:
    """The format that the file asks for is not known then."""
    path = tmp_path / "beanstalkd.toml"
    path.write_text('log_format = "text"\nprt = 1\n')
    daemon = launch("--config", str(path), "--log-format=json")
    assert daemon.wait_end() == 5
    (event,) = events(daemon)
    assert event["message"].startswith(f"{path}:2: unknown key: prt")
    assert event["status"] == 5


def test_format_of_the_file_counts_from_the_first_warning_on(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "beanstalkd.toml"
    path.write_text('log_format = "json"\n')
    daemon = start("-c", "--config", str(path))
    first, ready = events(daemon)
    assert first["message"] == "-c flag was removed. binlog is always compacted."
    assert ready["event"] == "ready"


BUG = """
import sys
from beanstalkd_py import cli

def listen(*arguments):
    raise AssertionError("an invariant")

cli.listen = listen
sys.argv[0] = "beanstalkd-py"
cli.run()
"""


@pytest.mark.parametrize("format", ["text", "json"])
def test_bug_has_its_traceback(launch: Start, format: str) -> None:
    daemon = launch("--log-format", format, program=(sys.executable, "-c", BUG))
    assert daemon.wait_end() == 70
    message = "a bug in the server: AssertionError: an invariant"
    if format == "text":
        first, second, *_ = daemon.events().splitlines()
        assert re.fullmatch(f"{STAMP} error beanstalkd-py: {message}", first)
        assert second.startswith("Traceback ")
    else:
        (event,) = events(daemon)
        assert (event["event"], event["message"]) == ("bug", message)
        assert event["traceback"].startswith("Traceback ")


JOURNAL = """
import os, sys
status = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
sys.argv[0] = "beanstalkd-py"
from beanstalkd_py import cli
cli.run()
"""


def test_journal_gets_priorities_and_no_time(start: Start) -> None:
    daemon = start(program=(sys.executable, "-c", JOURNAL))
    assert daemon.events().startswith("<6>ready: ")


def test_reload_changes_format_and_level(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "beanstalkd.toml"
    path.touch()
    daemon = start("--config", str(path))
    path.write_text('log_format = "json"\n')
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "reloaded" in daemon.events(), "the server has reloaded")
    path.write_text('log_level = "loud"\n')
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "not reloaded" in daemon.events(), "the server has not reloaded")
    reloaded, refused = map(json.loads, daemon.events().splitlines()[1:])
    assert (reloaded["level"], reloaded["event"], reloaded["file"]) == (
        "info",
        "reloaded",
        str(path),
    )
    assert reloaded["message"] == f"reloaded {path}: changed: log_format text -> json"
    assert (refused["level"], refused["event"]) == ("warning", "not_reloaded")
    assert f"{path}:1: log_level" in refused["message"]


def test_reset_of_a_client_is_no_event(start: Start) -> None:
    daemon = start("--log-format=json", at="127.0.0.1")
    for _ in range(20):
        client = daemon.client()
        client.say(b"put 0 0 60 1\r\nx\r\nreserve\r\n")
        client.reset()
    wait_until(lambda: daemon.client().stat(b"current-workers") == b"0", "the server has noticed")
    assert daemon.stop() == 0
    assert [event["event"] for event in events(daemon)] == ["ready", "stopping"]


def test_event_that_repeats_is_counted(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "beanstalkd.toml"
    path.touch()
    daemon = start("--config", str(path), "--log-format=json")
    client = daemon.client()

    def reload(size: int) -> None:
        path.write_text(f"max_job_size = {size}\n")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: client.stat(b"max-job-size") == b"%d" % size, "the server reloads")

    for size in range(1, PER_MINUTE + 4):
        reload(size)
    assert daemon.stop() == 0
    found = [event["event"] for event in events(daemon)]
    assert found == ["ready", *["reloaded"] * PER_MINUTE, "stopping", "left_out"]
    assert events(daemon)[-1]["message"] == "3 more events reloaded within a minute were left out"


def test_stderr_that_nobody_reads_stalls_no_client(start: Start, tmp_path: Path) -> None:
    """The pipe is full before the server writes its first line."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 4096)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    path = tmp_path / "beanstalkd.toml"
    path.write_text("")
    daemon = start("--config", str(path), before=lambda: os.dup2(write, 2))
    try:
        client = daemon.client()
        assert client.put() == 1
        os.read(read, 1 << 20)
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: client.stat(b"draining") == b"true", "the server drains")
        lost, draining = os.read(read, 4096).decode().splitlines()
        assert lost.endswith(": 1 line was left out, because stderr did not take it")
        assert "draining" in draining
    finally:
        os.close(read)
        os.close(write)
    assert daemon.stop() == 0


def test_page_has_every_event() -> None:
    """An alert looks for these names."""
    source = "".join(path.read_text() for path in (ROOT / "beanstalkd_py").glob("**/*.py"))
    page = (ROOT / "docs/operating.md").read_text()
    named = set(re.findall(r'event(?:: str)? ?= ?"(\w+)"', source))
    documented = set(re.findall(r"^\| `(\w+)` \| (?:error|warning|info) \|", page, re.MULTILINE))
    assert {"ready", "notice", "failed", "puts_refused"} <= named <= documented
    assert [name for name in documented if f'"{name}"' not in source] == []
