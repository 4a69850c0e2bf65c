"""The rows of the table that need a full disk.

They use the small file system of killtest. Raises NotPermitted where mounting is not allowed.
"""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from killtest.smalldisk import SmallDisk

from .daemon import Daemon
from .server_pair import ServerPair
from .stream import take_reply

DISK_BYTES = 1 << 20
SEGMENT_BYTES = 65536
BODY = b"x" * 400
TIMEOUT_S = 10.0


class Client:
    """A client that waits for the reply to each command."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(TIMEOUT_S)
        self._connection = connection

    def ask(self, line: bytes) -> bytes:
        self._connection.sendall(line + b"\r\n")
        data = b""
        while (taken := take_reply(data)) is None:
            received = self._connection.recv(1 << 16)
            if not received:
                raise ConnectionResetError("the server closed")
            data += received
        return taken[0]

    def fill(self, delay: int) -> list[int]:
        """Puts jobs until the disk is full. Returns their ids."""
        ids = []
        while (reply := self.ask(b"put 0 %d 1000 %d\r\n%b" % (delay, len(BODY), BODY))).startswith(
            b"INSERTED "
        ):
            ids.append(int(reply.split()[1]))
        assert reply == b"OUT_OF_MEMORY\r\n", reply
        return ids


@contextmanager
def _full(pair: ServerPair, server: str) -> Iterator[Client]:
    with (
        tempfile.TemporaryDirectory(prefix="judge.") as folder,
        SmallDisk(Path(folder), DISK_BYTES) as disk,
    ):
        (disk.path / "log").mkdir()
        options = ["-b", f"{folder}/log", "-s", str(SEGMENT_BYTES)]
        daemon = Daemon([*disk.enter, *pair.program(server)], options)
        try:
            with daemon.start().connect() as connection:
                yield Client(connection)
        finally:
            daemon.close()


def refuses_bury(pair: ServerPair, server: str) -> bool:
    """The C server refuses a bury with INTERNAL_ERROR and then nobody holds the job.

    This server buries all jobs.
    """
    with _full(pair, server) as client:
        ids = client.fill(delay=0)
        for _ in ids:
            client.ask(b"reserve")
        refused = [id for id in ids if client.ask(b"bury %d 0" % id) != b"BURIED\r\n"]
        if server == "ours":
            return not refused
        return bool(refused) and client.ask(b"release %d 0 0" % refused[0]) == b"NOT_FOUND\r\n"


def miscounts_kicks(pair: ServerPair, server: str) -> bool:
    """The C server reports more kicked jobs than it has kicked."""
    with _full(pair, server) as client:
        kicked = int(client.ask(b"kick %d" % len(client.fill(delay=1000))).split()[1])
        ready = int(re.findall(rb"current-jobs-ready: (\d+)", client.ask(b"stats"))[0])
        return kicked == ready if server == "ours" else kicked > ready


# row -> function that checks a server
PROBES: dict[str, Callable[[ServerPair, str], bool]] = {
    "full-disk": refuses_bury,
    "kicked-count": miscounts_kicks,
}
