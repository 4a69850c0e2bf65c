"""Connections that are half there: one side shut down, reset with much unread, or the peer is gone
without a word.

May know: a daemon, sockets, Linux (TCP_REPAIR lets a socket vanish unnoticed; it takes the right to
administer the network). Promises: what was asked is answered where somebody can still hear it, jobs
that are held come back, and nothing of the connection is left.
"""

from __future__ import annotations

import socket
import struct
from random import Random

from killtest.conversation import Conversation, put
from killtest.daemon import Daemon
from killtest.world import Fault

from .scale import Scale

TCP_REPAIR = 19
_RESET = struct.pack("ii", 1, 0)  # struct linger


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()


def vanish(connection: socket.socket) -> None:
    """The machine lost power: the server is not told. Raises PermissionError."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    connection.close()


def half_open(daemon: Daemon, scale: Scale, chance: Random) -> str:
    kinds = [_shut_down, _shut_down_waiting, _reset_holding, _reset_unread]
    chance.shuffle(kinds)
    for kind in kinds:
        kind(daemon, scale.half)
    try:
        _vanished_waiting(daemon, scale.half)
    except PermissionError:
        return f"4 x {scale.half} half-open connections (vanished ones are not permitted here)"
    return f"5 x {scale.half} half-open connections"


def _shut_down(daemon: Daemon, count: int) -> None:
    """Everything that was asked before is answered, then the server closes."""
    asked = (
        put(b"x") + b"\r\nreserve-with-timeout 0\r\nrelease 0 0 0\r\nlist-tube-used\r\npeek 0\r\n"
    )
    for _ in range(count):
        with daemon.connect() as connection:
            connection.sendall(asked)
            connection.shutdown(socket.SHUT_WR)
            said = _all_of(connection).split(b"\r\n")
        id = said[0].rpartition(b" ")[2]
        _expect(
            [
                b"INSERTED " + id,
                b"RESERVED " + id + b" 1",
                b"x",
                b"NOT_FOUND",
                b"USING default",
                b"NOT_FOUND",
                b"",
            ],
            said,
        )
        with Conversation(daemon.connect()) as client:
            _expect(
                [f"RESERVED {id.decode()} 1", "DELETED"],
                client.say(b"reserve-with-timeout 5", b"delete " + id),
            )


def _shut_down_waiting(daemon: Daemon, count: int) -> None:
    """Who sends no more cannot wait for a job either."""
    connections = [daemon.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(b"reserve\r\nlist-tube-used\r\n")
    for connection in connections:
        with connection:
            connection.shutdown(socket.SHUT_WR)
            _expect(b"TIMED_OUT\r\nUSING default\r\n", _all_of(connection))


def _reset_holding(daemon: Daemon, count: int) -> None:
    """What it held is there for others."""
    with Conversation(daemon.connect()) as client:
        client.ask(b"use held", b"watch held", b"ignore default", *[put(b"x")] * count)
        for _ in range(count):
            connection = daemon.connect()
            connection.sendall(b"watch held\r\nreserve\r\n")
            while b"RESERVED" not in connection.recv(100):
                pass
            reset(connection)
        _take_all(client, count)


def _reset_unread(daemon: Daemon, count: int) -> None:
    with Conversation(daemon.connect()) as client:
        client.ask(b"use held", b"watch held", b"ignore default", *[put(bytes(50_000))] * count)
        for _ in range(count):
            connection = daemon.connect()
            connection.sendall(b"watch held\r\nreserve\r\n" + b"stats\r\n" * 500)
            connection.recv(1)
            reset(connection)
        _take_all(client, count)


def _vanished_waiting(daemon: Daemon, count: int) -> None:
    """The job goes to one after another of those that are not there any more, and then to one that
    is.
    """
    for _ in range(count):
        connection = daemon.connect()
        connection.sendall(b"watch held\r\nreserve\r\n")
        if not connection.recv(100).startswith(b"WATCHING"):
            raise Fault("no answer to watch")
        vanish(connection)
    with Conversation(daemon.connect()) as client:
        client.ask(b"use held", b"watch held", b"ignore default", put(b"x"))
        _take_all(client, 1)


def _take_all(client: Conversation, count: int) -> None:
    for number in range(count):
        (reserved,) = client.ask(b"reserve-with-timeout 10")
        if reserved.words[0] != b"RESERVED":
            raise Fault(
                f"job {number} of {count} that were held by somebody who is gone: {reserved}"
            )
        client.ask(b"delete %d" % reserved.id)


def _all_of(connection: socket.socket) -> bytes:
    pieces = []
    while data := connection.recv(1 << 16):
        pieces.append(data)
    return b"".join(pieces)


def _expect(expected: object, said: object) -> None:
    if said != expected:
        raise Fault(f"{said!r} instead of {expected!r}")
