"""The rows of the table that need a full disk: what each server says when there is no room.

May know: the small disk of the rung `crash`. Where mounting is not allowed: NotPermitted.
"""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from killtest.smalldisk import SmallDisk

from .bench import Bench
from .daemon import Daemon
from .stream import take_reply

DISK_BYTES = 1 << 20
SEGMENT_BYTES = 65536
BODY = b"x" * 400
PATIENCE_S = 10.0


class Asker:
    """One client that asks and waits for the answer."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE_S)
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
        """Puts until there is no room. Returns the ids."""
        ids = []
        while (reply := self.ask(b"put 0 %d 1000 %d\r\n%b" % (delay, len(BODY), BODY))).startswith(
            b"INSERTED "
        ):
            ids.append(int(reply.split()[1]))
        assert reply == b"OUT_OF_MEMORY\r\n", reply
        return ids


@contextmanager
def _full(bench: Bench, server: str) -> Iterator[Asker]:
    with (
        tempfile.TemporaryDirectory(prefix="judge.") as folder,
        SmallDisk(Path(folder), DISK_BYTES) as disk,
    ):
        (disk.path / "log").mkdir()
        options = ["-b", f"{folder}/log", "-s", str(SEGMENT_BYTES)]
        daemon = Daemon([*disk.enter, *bench.program(server)], options)
        try:
            with daemon.start().connect() as connection:
                yield Asker(connection)
        finally:
            daemon.close()


def refuses(bench: Bench, server: str) -> bool:
    """The C server answers some bury with INTERNAL_ERROR, and then nobody holds the job; ours
    buries all.
    """
    with _full(bench, server) as client:
        ids = client.fill(delay=0)
        for _ in ids:
            client.ask(b"reserve")
        refused = [id for id in ids if client.ask(b"bury %d 0" % id) != b"BURIED\r\n"]
        if server == "ours":
            return not refused
        return bool(refused) and client.ask(b"release %d 0 0" % refused[0]) == b"NOT_FOUND\r\n"


def counts(bench: Bench, server: str) -> bool:
    """The C server says that it kicked more jobs than it did."""
    with _full(bench, server) as client:
        kicked = int(client.ask(b"kick %d" % len(client.fill(delay=1000))).split()[1])
        ready = int(re.findall(rb"current-jobs-ready: (\d+)", client.ask(b"stats"))[0])
        return kicked == ready if server == "ours" else kicked > ready


#: By row: whether a server is as the table says.
PROBES: dict[str, Callable[[Bench, str], bool]] = {"full-disk": refuses, "kicked-count": counts}
