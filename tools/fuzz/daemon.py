"""Noise from many connections at once into the installed daemon, with and without a log: not a word
on stderr, right answers for a new client, nobody left behind, and a log that verifies and starts
again with the same jobs.
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

from .commands import said
from .count import Count

CLIENTS = 30
STEPS = 2500
PATIENCE_S = 10.0
KINDS = ((), ("-b",), ("-b", "-f", "20"), ("-b", "-F", "-VV"))
STATES = ("ready", "delayed", "buried")


def run(seed: int, count: Count, steps: int = STEPS) -> None:
    """One life of a daemon, decided by the seed but for the timing. Raises whatever is wrong."""
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
            _noise(rng, daemon, count, steps)
            left = _look(daemon)
            _end(daemon, traced="-VV" in kind)
        if log.joinpath("lock").exists():
            found, text = said(log, "verify")
            assert found == status.CLEAN, text
            with running(options, unix) as daemon:
                assert _look(daemon) == left, "a restart does not find the same jobs"
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
    """Sends what it can, and takes what comes, or does not care to."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = daemon.connect()
        self.socket.setblocking(False)
        self.heard = b""

    def send(self, data: bytes) -> int:
        with suppress(BlockingIOError):
            return self.socket.send(data)
        return 0

    def listen(self, nbytes: int) -> None:
        with suppress(BlockingIOError):
            self.heard += self.socket.recv(nbytes)
        while taken := take_reply(self.heard):
            self.heard = taken[1]

    def go(self, how: str) -> None:
        with suppress(OSError):
            if how == "half":
                self.socket.shutdown(socket.SHUT_WR)
                self.listen(1 << 16)
            elif how == "reset":
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def _noise(rng: Random, daemon: Daemon, count: Count, steps: int) -> None:
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
                client.listen(rng.choice((1, 1000, 1 << 18)))
            else:
                clients.remove(client)
                client.go(rng.choice(("half", "close", "reset")))
        except Malformed:
            raise
        except OSError:  # it was told to go
            if client in clients:
                clients.remove(client)
            client.go("close")
    for client in clients:
        client.go(rng.choice(("half", "close", "reset")))
    assert daemon.is_up(), f"it is gone: {daemon.said()!r}"


class Asker:
    """A well-behaved client."""

    def __init__(self, daemon: Daemon) -> None:
        self.socket = daemon.connect()
        self.socket.settimeout(PATIENCE_S)

    def ask(self, line: str) -> bytes:
        self.socket.sendall(line.encode() + b"\r\n")
        reply = b""
        while take_reply(reply) is None:
            data = self.socket.recv(1 << 16)
            assert data, f"no answer to {line!r}"
            reply += data
        return reply

    def stats(self) -> dict[str, str]:
        lines = self.ask("stats").decode().splitlines()
        return dict(line.split(": ", 1) for line in lines if ": " in line)


def _look(daemon: Daemon) -> dict[str, int]:
    """Everybody else is gone, a new client is served. Returns how many jobs there are (delayed ones
    become ready as time goes by).
    """
    asker = Asker(daemon)
    give_up_at = time.monotonic() + PATIENCE_S
    while (stats := asker.stats())["current-connections"] != "1":
        assert time.monotonic() < give_up_at, f"{stats['current-connections']} connections are left"
    assert [
        stats[f"current-{what}"] for what in ("waiting", "producers", "workers", "jobs-reserved")
    ] == ["0"] * 4, stats
    _, id = asker.ask("put 0 0 60 4\r\nsane").split()
    assert asker.ask(f"reserve-job {int(id)}") == b"RESERVED %b 4\r\nsane\r\n" % id
    assert asker.ask(f"delete {int(id)}") == b"DELETED\r\n"
    stats = asker.stats()
    asker.socket.close()
    jobs = [int(stats[f"current-jobs-{state}"]) for state in STATES]
    return {"jobs": sum(jobs), "buried": jobs[-1]}


def _end(daemon: Daemon, traced: bool) -> None:
    ended = daemon.stop()
    assert ended == 0, f"status {ended}: {daemon.said()!r}"
    if traced:
        assert b"Traceback" not in daemon.said(), daemon.said()[-2000:]
    else:
        assert daemon.said() == b"", daemon.said()[-2000:]
