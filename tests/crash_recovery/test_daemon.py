"""The parts of the kill test: the installed server, events of its directory, its messages."""

from __future__ import annotations

import errno
import os
import random
import sys
from pathlib import Path

import pytest
from killtest.conversation import Conversation, put
from killtest.fault import Fault
from killtest.idle_checks import StartMessages, check_idle, verify
from killtest.inotify import Event, Watch
from killtest.knowledge import Knowledge
from testkit.daemon import Daemon, DidNotStart

from beanstalkd_py.binlog.refusals import QUIET_NS, Refusals
from beanstalkd_py.binlog.report import messages_only


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join([f"#!{sys.executable}", *lines]))
    path.chmod(0o755)
    return str(path)


def test_installed_server_does_not_import_from_this_tree(directory, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    program = script(tmp_path / "daemon", "import os, sys", "sys.exit('PYTHONPATH' in os.environ)")
    daemon = Daemon(directory=directory, program=(program,))
    with daemon, pytest.raises(DidNotStart) as ended:
        daemon.start()
    assert ended.value.status == 0


def test_watch_reports_events_in_order(directory):
    with Watch(directory) as watch:
        (directory / "before").touch()
        watch.forget()
        (directory / "spare.1").write_bytes(b"x")
        (directory / "spare.1").rename(directory / "00000001.wal")
        (directory / "00000001.wal").unlink()
        events = [event for event in watch.events(5, 0.0) if event.kind not in ("opened", "read")]
    assert events == [
        Event("created", "spare.1"),
        Event("changed", "spare.1"),
        Event("moved from", "spare.1"),
        Event("moved to", "00000001.wal"),
        Event("deleted", "00000001.wal"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "beanstalkd-py: /d/00000001.wal: corrupt at offset 7: expected LSN 1, found nothing",
        "beanstalkd-py: connection: Bad file descriptor",
        "Traceback (most recent call last):",
        "torn",
    ],
)
def test_unexpected_message_is_a_fault(line):
    with pytest.raises(Fault):
        StartMessages().add(line)


def test_messages_about_a_sound_end_of_a_c_binlog_are_allowed():
    """Fewer zeros than a record has bytes (`make killtest SEED=1786802997 ROUNDS=1`)."""
    StartMessages().add(
        "d: /d/binlog.409:8156: unexpected EOF reading 80 bytes (got 36): job struct\n"
    )
    StartMessages().add(
        "d: /d/binlog.430:5044: job 3996 is taken for deleted: "
        "an update of it, cut off here, would look the same\n"
    )


def test_progress_of_a_slow_start_is_allowed():
    StartMessages().add("beanstalkd-py: reading /var/lib/beanstalkd: 18 % of 56 MB\n")


@pytest.mark.parametrize("count", [1, 2])
def test_messages_about_refused_puts_are_allowed(count):
    said = []
    refusals = Refusals(messages_only(lambda line: said.append(f"beanstalkd-py: /d: {line}")))
    for _ in range(2):
        refusals.add(count)
        refusals.check(0, False, errno.ENOSPC)
        refusals.check(QUIET_NS, True, errno.ENOSPC)
    refusals.add(count)
    refusals.end()
    assert len(said) == 3
    for line in said:
        StartMessages().add(line)


def test_torn_files_need_a_message():
    messages = StartMessages()
    messages.add(
        "d: /d/00000012.wal: torn at offset 4096: expected LSN 7, found zeros; "
        "48 bytes were never promised\n"
    )
    assert messages.explains("torn.12.4096") and messages.explains("torn.12.4096.1")
    assert not messages.explains("torn.12.0") and not messages.explains("torn.1.4096")


def test_unexpected_files_of_an_idle_log_are_detected(daemon, directory):
    daemon.start(("-s", "65536"))
    knowledge = Knowledge(random.Random(1))
    check_idle(daemon, knowledge, 65536, StartMessages())
    (directory / "torn.1.7").write_bytes(b"x")
    (directory / "binlog.1").write_bytes(b"x")
    with pytest.raises(Fault, match=r"\['binlog.1', 'torn.1.7'\]|\['torn.1.7', 'binlog.1'\]"):
        check_idle(daemon, knowledge, 65536, StartMessages())


def test_verify_detects_damage(daemon, directory):
    daemon.start()
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"promised"))
    assert daemon.stop() == 0
    verify(daemon)
    (path,) = directory.glob("*.wal")
    path.write_bytes(path.read_bytes().replace(b"promised", b"promises"))
    with pytest.raises(Fault, match="corrupt"):
        verify(daemon)
