"""Malformed input from many connections to a server process, with and without a log.

The server writes nothing to stderr, serves new clients correctly, and keeps no connection. Its log
passes `verify`, and a restart finds the same jobs.
"""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

from beanstalkd_binlog import status
from judge.malformed import block
from testkit.client import Client, reset
from testkit.daemon import Daemon
from testkit.replies import Malformed, take_reply
from testkit.waiting import wait_until

from .commands import call
from .count import Count

CLIENTS = 30
STEPS = 2500
KINDS = ((), ("-b",), ("-b", "-f", "20"), ("-b", "-F", "-VV"))
STATES = ("ready", "delayed", "buried")


def run(seed: int, count: Count, steps: int = STEPS) -> None:
    """One life of a server. The seed determines everything except the timing."""
    rng = Random(f"daemon {seed}")
    kind = KINDS[seed % len(KINDS)]
    with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
        log = Path(scratch) / "log"
        log.mkdir()
        options = [word for option in kind for word in (option, *[str(log)] * (option == "-b"))]
        at = f"unix:{scratch}/socket" if rng.random() < 0.5 else "127.0.0.1"
        with Daemon(["-z", "500", "-s", "65536", *options], at) as daemon:
            daemon.start()
            _send_malformed(rng, daemon, count, steps)
            left = _check_serves(daemon)
            _end(daemon, traced="-VV" in kind)
        if log.joinpath("lock").exists():
            found, text = call(log, "verify")
            assert found == status.CLEAN, text
            with Daemon(options, at) as daemon:
                daemon.start()
                assert _check_serves(daemon) == left, "a restart finds other jobs"
                _end(daemon, traced="-VV" in kind)
        assert ("-b" in kind) == log.joinpath("lock").exists()


class NoisyClient:
    """Sends and receives without blocking; may leave replies unread."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = daemon.connect()
        self.socket.setblocking(False)
        self.received = b""

    def send(self, data: bytes) -> int:
        with suppress(BlockingIOError):
            return self.socket.send(data)
        return 0

    def receive(self, nbytes: int) -> None:
        with suppress(BlockingIOError):
            self.received += self.socket.recv(nbytes)
        while taken := take_reply(self.received):
            self.received = taken[1]

    def leave(self, how: str) -> None:
        with suppress(OSError):
            if how == "half":
                self.socket.shutdown(socket.SHUT_WR)
                self.receive(1 << 16)
            elif how == "reset":
                reset(self.socket)
        self.socket.close()


def _send_malformed(rng: Random, daemon: Daemon, count: Count, steps: int) -> None:
    clients: list[NoisyClient] = []
    for _ in range(steps):
        if len(clients) < CLIENTS:
            clients.append(NoisyClient(daemon))
        client = rng.choice(clients)
        try:
            what = rng.random()
            if what < 0.80:
                count.input(client.send(block(rng) if rng.random() < 0.9 else block(rng) * 50))
            elif what < 0.97:
                client.receive(rng.choice((1, 1000, 1 << 18)))
            else:
                clients.remove(client)
                client.leave(rng.choice(("half", "close", "reset")))
        except Malformed:
            raise
        except OSError:  # the server has closed the connection
            if client in clients:
                clients.remove(client)
            client.leave("close")
    for client in clients:
        client.leave(rng.choice(("half", "close", "reset")))
    assert daemon.is_up(), f"the server has ended: {daemon.said()!r}"


def _check_serves(daemon: Daemon) -> dict[str, int]:
    """All other clients are gone, and a new client is served correctly.

    Returns the number of jobs; delayed jobs may become ready meanwhile.
    """
    with Client(daemon.connect()) as client:
        wait_until(
            lambda: client.stats()["current-connections"] == "1",
            lambda: f"{client.stats()['current-connections']} connections, not 1",
        )
        stats = client.stats()
        assert [
            stats[f"current-{what}"]
            for what in ("waiting", "producers", "workers", "jobs-reserved")
        ] == ["0"] * 4, stats
        id = client.put(b"good")
        reserved = client.ask(b"reserve-job %d\r\n" % id)
        assert reserved == b"RESERVED %d 4\r\ngood\r\n" % id
        assert client.ask(b"delete %d\r\n" % id) == b"DELETED\r\n"
        stats = client.stats()
    jobs = [int(stats[f"current-jobs-{state}"]) for state in STATES]
    return {"jobs": sum(jobs), "buried": jobs[-1]}


def _end(daemon: Daemon, traced: bool) -> None:
    ended = daemon.stop()
    assert ended == 0, f"status {ended}: {daemon.said()!r}"
    if traced:
        assert "Traceback" not in daemon.said(), daemon.said()[-2000:]
    else:
        assert daemon.said() == "", daemon.said()[-2000:]
