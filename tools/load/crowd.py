"""Thousands of connections, most of them idle.

May know: a daemon, sockets. Promises: every reply that each of them is due is right.
"""

from __future__ import annotations

import selectors
import socket
from random import Random

from killtest.daemon import Daemon
from killtest.replies import Replies, Reply
from killtest.world import Fault

from .scale import Scale
from .vitals import MIB, await_that, check_right_answers, vitals, vitals_at_rest

SILENCE_S = 20.0
BYTES_EACH = 16 << 10  # what a connection may cost the server, at most
ASK, ANSWER = b"list-tube-used\r\n", b"USING default\r\n"


def crowd(daemon: Daemon, scale: Scale, chance: Random) -> str:
    pid = daemon.process.pid
    before = vitals_at_rest(daemon)
    idle = [daemon.connect() for _ in range(scale.idle)]
    busy = _Busy(daemon, scale, chance)
    try:
        busy.run()
        check_right_answers(daemon, 10)
        cost = (vitals(pid).rss_bytes - before.rss_bytes) // (scale.idle + scale.busy)
        if cost > BYTES_EACH:
            raise Fault(
                f"{cost} bytes of memory for each of {scale.idle + scale.busy} connections, not {BYTES_EACH}"
            )
        sockets = before.sockets + scale.idle + scale.busy
        await_that(
            lambda: vitals(pid).sockets == sockets,
            lambda: f"{vitals(pid).sockets} sockets, not {sockets}",
        )
        _ask_all(idle)
    finally:
        for connection in idle:
            connection.close()
        busy.close()
    return f"{scale.idle} idle and {scale.busy} busy connections ({cost} bytes each, {vitals(pid).most_bytes // MIB} MiB in all)"


def _ask_all(connections: list[socket.socket]) -> None:
    for connection in connections:
        connection.sendall(ASK)
    for number, connection in enumerate(connections):
        if (said := connection.recv(100)) != ANSWER:
            raise Fault(f"idle connection {number} is told {said!r}")


class _Worker:
    """One busy connection, in a tube of its own: the next command when the last was answered."""

    def __init__(self, connection: socket.socket, number: int, turns: int, chance: Random) -> None:
        self.connection = connection
        self.number = number
        self.left = turns
        self._tube = b"busy-%d" % number
        self._body = chance.randbytes(1 + number % 200)
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
            self._say(b"reserve", f"RESERVED {self._id} {len(self._body)}")
        elif str(reply) != self._expected or (word == b"RESERVED" and reply.data != self._body):
            raise Fault(f"busy connection {self.number}: {reply} instead of {self._expected}")
        elif word == b"RESERVED":
            self._say(b"delete %d" % self._id, "DELETED")
        elif self.left:
            self.left -= 1
            self._say(b"put 0 0 60 %d\r\n%b" % (len(self._body), self._body), "INSERTED")
        else:
            self._expected = ""

    def _say(self, command: bytes, expected: str) -> None:
        self._expected = expected
        self.connection.sendall(command + b"\r\n")

    @property
    def done(self) -> bool:
        return not self._expected


class _Busy:
    def __init__(self, daemon: Daemon, scale: Scale, chance: Random) -> None:
        self._selector = selectors.DefaultSelector()
        self._connections = [daemon.connect() for _ in range(scale.busy)]
        for number, connection in enumerate(self._connections):
            self._selector.register(
                connection, selectors.EVENT_READ, _Worker(connection, number, scale.turns, chance)
            )

    def run(self) -> None:
        """Until each of them has had all its turns."""
        while self._selector.get_map():
            events = self._selector.select(SILENCE_S)
            if not events:
                raise Fault(
                    f"nothing from the server for {SILENCE_S:.0f} s; {len(self._selector.get_map())} busy connections wait"
                )
            for key, _ in events:
                key.data.receive()
                if key.data.done:
                    self._selector.unregister(key.fileobj)

    def close(self) -> None:
        self._selector.close()
        for connection in self._connections:
            connection.close()
