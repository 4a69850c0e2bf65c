"""Each command beside a server under load, which creates and deletes segments while they are read:
no error, no damage.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from testkit.daemon import Daemon

ROUNDS = 3
LIVE = 200


class Load:
    """Puts and deletes jobs of 300 bytes until it is stopped, so that about LIVE jobs exist."""

    def __init__(self, daemon: Daemon) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(daemon,))
        self.deleted = 0
        self._thread.start()

    def _run(self, daemon: Daemon) -> None:
        ids: deque[bytes] = deque()
        with daemon.connect() as connection, connection.makefile("rb") as replies:
            while not self._stopping.is_set():
                deletes = [ids.popleft() for _ in range(len(ids) - LIVE)]
                connection.sendall(
                    (b"put 9 0 60 300\r\n" + b"x" * 300 + b"\r\n") * 50
                    + b"".join(b"delete %b\r\n" % id for id in deletes)
                )
                ids.extend(replies.readline().split()[1] for _ in range(50))
                assert all(replies.readline() == b"DELETED\r\n" for _ in deletes)
                self.deleted += len(deletes)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()


@pytest.fixture
def load(daemon: Daemon) -> Iterator[Load]:
    daemon.start()
    load = Load(daemon)
    yield load
    load.stop()


@pytest.mark.parametrize(
    "words", [["verify"], ["ls"], ["stats"], ["dump", "--json"], ["jobs", "--json"]], ids=" ".join
)
def test_command_beside_a_server_under_load(run, load, tmp_path: Path, words):
    command, *options = words
    log = tmp_path / "log"
    before = {path.name for path in log.glob("*.wal")}
    for _ in range(ROUNDS):
        found = run(command, log, *options)
        assert found.exit_code == 0, found.stderr
        assert not found.stderr or "deleted segments before they were read" in found.stderr
        if command == "jobs":
            assert len(found.stdout.splitlines()) <= LIVE + 100
    while before <= {path.name for path in log.glob("*.wal")}:
        run(command, log, *options)  # until the server has deleted a segment
    load.stop()
    if command == "jobs":
        assert len(run("jobs", log, "--json").stdout.splitlines()) >= LIVE
