"""Half-open connections: one direction is shut down, the connection is reset with unread data, or
the peer disappears without a FIN or RST.

The server still replies where the client can receive, releases reserved jobs, and frees the
connection. A socket closed with TCP_REPAIR sends nothing; this needs CAP_NET_ADMIN.
"""

from __future__ import annotations

import socket
from random import Random

from killtest.conversation import Conversation, put
from killtest.fault import Fault
from testkit.client import reset
from testkit.daemon import Daemon

from .scale import Scale

TCP_REPAIR = 19


def vanish(connection: socket.socket) -> None:
    """Closes the socket without telling the peer, like a power cut. Raises PermissionError."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    connection.close()


def half_open(daemon: Daemon, scale: Scale, rng: Random) -> str:
    kinds = [_shut_down, _shut_down_waiting, _reset_holding, _reset_unread]
    rng.shuffle(kinds)
    for kind in kinds:
        kind(daemon, scale.half_open)
    try:
        _vanished_waiting(daemon, scale.half_open)
    except PermissionError:
        return f"4 x {scale.half_open} half-open connections (no permission for TCP_REPAIR)"
    return f"5 x {scale.half_open} half-open connections"


def _shut_down(daemon: Daemon, count: int) -> None:
    """The server replies to all commands sent before the shutdown, then closes."""
    commands = (
        put(b"x") + b"\r\nreserve-with-timeout 0\r\nrelease 0 0 0\r\nlist-tube-used\r\npeek 0\r\n"
    )
    for _ in range(count):
        with daemon.connect() as connection:
            connection.sendall(commands)
            connection.shutdown(socket.SHUT_WR)
            received = _receive_all(connection).split(b"\r\n")
        id = received[0].rpartition(b" ")[2]
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
            received,
        )
        with Conversation(daemon.connect()) as client:
            _expect(
                [f"RESERVED {id.decode()} 1", "DELETED"],
                client.say(b"reserve-with-timeout 300", b"delete " + id),
            )


def _shut_down_waiting(daemon: Daemon, count: int) -> None:
    """A client that has shut down its sending side cannot wait for a job."""
    connections = [daemon.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(b"reserve\r\nlist-tube-used\r\n")
    for connection in connections:
        with connection:
            connection.shutdown(socket.SHUT_WR)
            _expect(b"TIMED_OUT\r\nUSING default\r\n", _receive_all(connection))


def _reset_holding(daemon: Daemon, count: int) -> None:
    """Jobs reserved by a reset connection become ready."""
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
    """The job is offered to each vanished client in turn, and then to a live one."""
    for _ in range(count):
        connection = daemon.connect()
        connection.sendall(b"watch held\r\nreserve\r\n")
        if not connection.recv(100).startswith(b"WATCHING"):
            raise Fault("no reply to watch")
        vanish(connection)
    with Conversation(daemon.connect()) as client:
        client.ask(b"use held", b"watch held", b"ignore default", put(b"x"))
        _take_all(client, 1)


def _take_all(client: Conversation, count: int) -> None:
    for number in range(count):
        (reserved,) = client.ask(b"reserve-with-timeout 300")
        if reserved.words[0] != b"RESERVED":
            raise Fault(f"job {number} of {count} of a client that is gone: {reserved}")
        client.ask(b"delete %d" % reserved.id)


def _receive_all(connection: socket.socket) -> bytes:
    pieces = []
    while data := connection.recv(1 << 16):
        pieces.append(data)
    return b"".join(pieces)


def _expect(expected: object, received: object) -> None:
    if received != expected:
        raise Fault(f"{received!r} instead of {expected!r}")
