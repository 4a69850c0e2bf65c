"""Malformed input from many connections to a server process, with and without a log.

The server writes nothing to stderr, serves new clients correctly, and keeps no connection. Its log
passes `verify`, and a restart finds the same jobs.
"""

from __future__ import annotations

import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from beanstalkd_binlog import status
from judge.daemon import OURS, Daemon
from judge.malformed import block
from judge.stream import Malformed, take_reply

from .commands import call
from .count import Count

CLIENTS = 30
STEPS = 2500
TIMEOUT_S = 10.0
KINDS = ((), ("-b",), ("-b", "-f", "20"), ("-b", "-F", "-VV"))
STATES = ("ready", "delayed", "buried")


def run(seed: int, count: Count, steps: int = STEPS) -> None:
    """One life of a server. The seed determines everything except the timing."""
    rng = Random(f"daemon {seed}")
    kind = KINDS[seed % len(KINDS)]
    with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
        log = Path(scratch) / "log"
        log.mkdir()
        options = [
            word
            for option in kind
            for word in ((option, str(log)) if option == "-b" else (option,))
        ]
        unix = Path(scratch) / "socket" if rng.random() < 0.5 else None
        with running(["-z", "500", "-s", "65536", *options], unix) as daemon:
            _send_malformed(rng, daemon, count, steps)
            left = _check_serves(daemon)
            _end(daemon, traced="-VV" in kind)
        if log.joinpath("lock").exists():
            found, text = call(log, "verify")
            assert found == status.CLEAN, text
            with running(options, unix) as daemon:
                assert _check_serves(daemon) == left, "a restart finds other jobs"
                _end(daemon, traced="-VV" in kind)
        assert ("-b" in kind) == log.joinpath("lock").exists()


@contextmanager
def running(options: list[str], unix: Path | None) -> Iterator[Daemon]:
    daemon = Daemon(OURS, options, unix)
    try:
        yield daemon.start()
    finally:
        daemon.close()


class Client:
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
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def _send_malformed(rng: Random, daemon: Daemon, count: Count, steps: int) -> None:
    clients: list[Client] = []
    for _ in range(steps):
        if len(clients) < CLIENTS:
            clients.append(Client(daemon))
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


class PoliteClient:
    """A well-behaved client."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = daemon.connect()
        self.socket.settimeout(TIMEOUT_S)

    def ask(self, line: str) -> bytes:
        self.socket.sendall(line.encode() + b"\r\n")
        reply = b""
        while take_reply(reply) is None:
            data = self.socket.recv(1 << 16)
            assert data, f"no reply to {line!r}"
            reply += data
        return reply

    def stats(self) -> dict[str, str]:
        lines = self.ask("stats").decode().splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)


def _check_serves(daemon: Daemon) -> dict[str, int]:
    """All other clients are gone, and a new client is served correctly.

    Returns the number of jobs; delayed jobs may become ready meanwhile.
    """
    client = PoliteClient(daemon)
    deadline = time.monotonic() + TIMEOUT_S
    while (stats := client.stats())["current-connections"] != "1":
        assert time.monotonic() < deadline, f"{stats['current-connections']} connections are left"
    assert [
        stats[f"current-{what}"] for what in ("waiting", "producers", "workers", "jobs-reserved")
    ] == ["0"] * 4, stats
    _, id = client.ask("put 0 0 60 4\r\ngood").split()
    assert client.ask(f"reserve-job {int(id)}") == b"RESERVED %b 4\r\ngood\r\n" % id
    assert client.ask(f"delete {int(id)}") == b"DELETED\r\n"
    stats = client.stats()
    client.socket.close()
    jobs = [int(stats[f"current-jobs-{state}"]) for state in STATES]
    return {"jobs": sum(jobs), "buried": jobs[-1]}


def _end(daemon: Daemon, traced: bool) -> None:
    ended = daemon.stop()
    assert ended == 0, f"status {ended}: {daemon.said()!r}"
    if traced:
        assert b"Traceback" not in daemon.said(), daemon.said()[-2000:]
    else:
        assert daemon.said() == b"", daemon.said()[-2000:]
