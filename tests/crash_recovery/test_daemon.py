"""What the rounds stand on: whose server it is that is killed, and what its directory says of the
moment.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
from killtest.atrest import Said, check_at_rest, verify
from killtest.conversation import Conversation, put
from killtest.inotify import Event, Watch
from killtest.world import Fault, World
from testkit.daemon import Daemon, DidNotStart


def script(path: Path, *lines: str) -> str:
    path.write_text("\n".join([f"#!{sys.executable}", *lines]))
    path.chmod(0o755)
    return str(path)


def test_an_installed_daemon_is_shown_no_module_of_this_tree(directory, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.getcwd())
    program = script(tmp_path / "daemon", "import os, sys", "sys.exit('PYTHONPATH' in os.environ)")
    daemon = Daemon(directory=directory, program=(program,))
    with daemon, pytest.raises(DidNotStart) as ended:
        daemon.start()
    assert ended.value.status == 0


def test_what_happens_in_a_directory_is_seen_in_order(directory):
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
def test_what_no_kill_explains_must_not_be_said(line):
    with pytest.raises(Fault):
        Said().hear(line)


def test_what_the_c_server_says_of_a_sound_end_may_be_said():
    """Fewer zeros than a record has bytes: `make killtest SEED=1786802997 ROUNDS=1`."""
    Said().hear("d: /d/binlog.409:8156: unexpected EOF reading 80 bytes (got 36): job struct\n")
    Said().hear(
        "d: /d/binlog.430:5044: job 3996 is taken for deleted: an update of it, cut off here, would look the same\n"
    )


def test_only_torn_tails_that_were_spoken_of_may_lie_there():
    said = Said()
    said.hear(
        "d: /d/00000012.wal: torn at offset 4096: expected LSN 7, found zeros; 48 bytes were never promised\n"
    )
    assert said.explains("torn.12.4096") and said.explains("torn.12.4096.1")
    assert not said.explains("torn.12.0") and not said.explains("torn.1.4096")


def test_a_log_at_rest_is_looked_through(daemon, directory):
    daemon.start(("-s", "65536"))
    world = World(random.Random(1))
    check_at_rest(daemon, world, 65536, Said())
    (directory / "torn.1.7").write_bytes(b"x")
    (directory / "binlog.1").write_bytes(b"x")
    with pytest.raises(Fault, match=r"\['binlog.1', 'torn.1.7'\]|\['torn.1.7', 'binlog.1'\]"):
        check_at_rest(daemon, world, 65536, Said())


def test_verify_tells_damage(daemon, directory):
    daemon.start()
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"promised"))
    assert daemon.stop() == 0
    verify(daemon)
    (path,) = directory.glob("*.wal")
    path.write_bytes(path.read_bytes().replace(b"promised", b"promises"))
    with pytest.raises(Fault, match="corrupt"):
        verify(daemon)
