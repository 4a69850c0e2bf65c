"""Thousands of connections, most of them idle. Every reply on every connection is checked."""

from __future__ import annotations

import selectors
import socket
from random import Random

from killtest.fault import Fault
from killtest.replies import Replies, Reply
from testkit.daemon import Daemon
from testkit.waiting import HANG_S

from .process_metrics import MIB, check_serves, idle_metrics, process_metrics, wait_until
from .scale import Scale

BYTES_EACH = 16 << 10  # maximum memory of the server per connection
REQUEST, REPLY = b"list-tube-used\r\n", b"USING default\r\n"


def many_connections(daemon: Daemon, scale: Scale, rng: Random) -> str:
    pid = daemon.process.pid
    before = idle_metrics(daemon)
    idle = [daemon.connect() for _ in range(scale.idle)]
    busy = _Busy(daemon, scale, rng)
    try:
        busy.run()
        check_serves(daemon, 10)
        cost = (process_metrics(pid).rss_bytes - before.rss_bytes) // (scale.idle + scale.busy)
        if cost > BYTES_EACH:
            raise Fault(
                f"{cost} bytes of memory for each of {scale.idle + scale.busy} connections, "
                f"not {BYTES_EACH}"
            )
        sockets = before.sockets + scale.idle + scale.busy
        wait_until(
            lambda: process_metrics(pid).sockets == sockets,
            lambda: f"{process_metrics(pid).sockets} sockets, not {sockets}",
        )
        _request_all(idle)
    finally:
        for connection in idle:
            connection.close()
        busy.close()
    peak = process_metrics(pid).peak_rss_bytes // MIB
    return (
        f"{scale.idle} idle and {scale.busy} busy connections "
        f"({cost} bytes each, {peak} MiB in total)"
    )


def _request_all(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.sendall(REQUEST)
    for number, connection in enumerate(connections):
        if (received := connection.recv(100)) != REPLY:
            raise Fault(f"idle connection {number} receives {received!r}")


class _Worker:
    """A busy connection with its own tube. It sends a command after each reply."""

    def __init__(self, connection: socket.socket, number: int, rounds: int, rng: Random) -> None:
        self.connection = connection
        self.number = number
        self.left = rounds
        self._tube = b"busy-%d" % number
        self._body = rng.randbytes(1 + number % 200)
        self._id = 0
        self._replies = Replies()
        self._expected = "WATCHING 1"
        connection.sendall(b"use %b\r\nwatch %b\r\nignore default\r\n" % (self._tube, self._tube))

    def receive(self) -> None:
        data = self.connection.recv(1 << 16)
        if not data:
            raise Fault(f"busy connection {self.number} was closed")
        for reply in self._replies.feed(data):
            self._take(reply)

    def _take(self, reply: Reply) -> None:
        word = reply.words[0]
        if word == b"USING" or (word == b"WATCHING" and reply.id == 2):
            return
        if word == b"INSERTED" and self._expected == "INSERTED":
            self._id = reply.id
            self._send(b"reserve", f"RESERVED {self._id} {len(self._body)}")
        elif str(reply) != self._expected or (word == b"RESERVED" and reply.data != self._body):
            raise Fault(f"busy connection {self.number}: {reply} instead of {self._expected}")
        elif word == b"RESERVED":
            self._send(b"delete %d" % self._id, "DELETED")
        elif self.left:
            self.left -= 1
            self._send(b"put 0 0 60 %d\r\n%b" % (len(self._body), self._body), "INSERTED")
        else:
            self._expected = ""

    def _send(self, command: bytes, expected: str) -> None:
        self._expected = expected
        self.connection.sendall(command + b"\r\n")

    @property
    def done(self) -> bool:
        return not self._expected


class _Busy:
    def __init__(self, daemon: Daemon, scale: Scale, rng: Random) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = [daemon.connect() for _ in range(scale.busy)]
        for number, connection in enumerate(self._connections):
            self._selector.register(
                connection, selectors.EVENT_READ, _Worker(connection, number, scale.rounds, rng)
            )

    def run(self) -> None:
        """Runs until every connection has finished its rounds."""
        while self._selector.get_map():
            events = self._selector.select(HANG_S)
            if not events:
                waiting = len(self._selector.get_map())
                raise Fault(f"no reply for {HANG_S:.0f} s; {waiting} busy connections wait")
            for key, _ in events:
                key.data.receive()
                if key.data.done:
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.close()
