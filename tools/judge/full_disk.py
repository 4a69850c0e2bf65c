"""The rows of the table that need a full disk.

They use the small file system of killtest. Raises NotPermitted where mounting is not allowed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from killtest.small_disk import SmallDisk
from testkit.client import Client
from testkit.daemon import Daemon

from .server_pair import ServerPair

DISK_BYTES = 1 << 20
SEGMENT_BYTES = 65536
BODY = b"x" * 400


def fill(client: Client, delay: int) -> list[int]:
    """Puts jobs until the disk is full. Returns their ids."""
    ids = []
    put = b"put 0 %d 1000 %d\r\n%b\r\n" % (delay, len(BODY), BODY)
    while (reply := client.ask(put)).startswith(b"INSERTED "):
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
        with Daemon(options, program=pair.program(server), prefix=disk.enter) as daemon:
            yield daemon.start().client()


def refuses_bury(pair: ServerPair, server: str) -> bool:
    """The C server refuses a bury with INTERNAL_ERROR and then no client holds the job.

    This server buries all jobs.
    """
    with _full(pair, server) as client:
        ids = fill(client, delay=0)
        for _ in ids:
            client.ask(b"reserve\r\n")
        refused = [id for id in ids if client.ask(b"bury %d 0\r\n" % id) != b"BURIED\r\n"]
        if server == "ours":
            return not refused
        return bool(refused) and client.ask(b"release %d 0 0\r\n" % refused[0]) == b"NOT_FOUND\r\n"


def miscounts_kicks(pair: ServerPair, server: str) -> bool:
    """The C server reports more kicked jobs than it has kicked."""
    with _full(pair, server) as client:
        kicked = int(client.ask(b"kick %d\r\n" % len(fill(client, delay=1000))).split()[1])
        ready = int(client.stat(b"current-jobs-ready"))
        return kicked == ready if server == "ours" else kicked > ready


# row -> function that checks a server
PROBES: dict[str, Callable[[ServerPair, str], bool]] = {
    "full-disk": refuses_bury,
    "kicked-count": miscounts_kicks,
}
