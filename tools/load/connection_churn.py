"""Opens and closes many connections at once, and more connections than the server has descriptors.

Closing a connection does not affect other clients. A client that waits for a descriptor is served
once one is free.
"""

from __future__ import annotations

import selectors
import socket
from random import Random

from killtest.fault import Fault
from testkit.client import reset
from testkit.daemon import Daemon
from testkit.waiting import HANG_S

from .many_connections import REPLY, REQUEST
from .process_metrics import IDLE_TICKS, check_serves, process_metrics, ticks_per_second
from .scale import Scale

BATCH = 200
ACCEPT_PAUSED = r"\S+: \d+ connections: no descriptors for more, so others wait\n"


def connection_churn(daemon: Daemon, scale: Scale, rng: Random) -> str:
    for _ in range(0, scale.connection_churn, BATCH):
        connections = [_connect(daemon, rng) for _ in range(BATCH)]
        for connection in connections:
            _use_and_close(connection, rng.randrange(6))
    check_serves(daemon, 10)
    return f"{scale.connection_churn} connections opened and closed"


def _connect(daemon: Daemon, rng: Random) -> socket.socket:
    """Connects from a random address, because closed ports of one address are not free at once."""
    source = f"127.0.{rng.randrange(1, 200)}.{rng.randrange(1, 250)}"
    return socket.create_connection(("127.0.0.1", daemon.port), HANG_S, (source, 0))


def _use_and_close(connection: socket.socket, how: int) -> None:
    if how == 0:
        reset(connection)
        return
    if how == 1:
        connection.sendall(b"put 0 0 60 1000\r\nhalf of it")
        reset(connection)
        return
    if how == 2:
        connection.sendall(b"watch nothing\r\nignore default\r\nreserve\r\n")
    elif how == 3:
        connection.sendall(REQUEST)
        if (received := connection.recv(100)) != REPLY:
            raise Fault(f"{received!r} during connection churn")
    elif how == 4:
        connection.sendall(b"quit\r\n")
        connection.recv(100)
    connection.close()


def few_descriptors(daemon: Daemon, scale: Scale, rng: Random) -> str:
    """The daemon runs with the descriptor limit scale.descriptors."""
    pid = daemon.process.pid
    waiting = [daemon.connect() for _ in range(2 * scale.descriptors)]
    for connection in waiting:
        connection.sendall(REQUEST)
    total = len(waiting)
    least = scale.descriptors // 2  # the log uses some descriptors
    rounds = 0
    while waiting:
        served = _served(waiting, min(least, len(waiting)))
        if len(waiting) > len(served) and (ticks := ticks_per_second(pid)) > 10 * IDLE_TICKS:
            raise Fault(f"{ticks} ticks of CPU in a second without free descriptors")
        if (count := process_metrics(pid).descriptors) > scale.descriptors:
            raise Fault(f"{count} descriptors of {scale.descriptors}")
        rng.shuffle(served)
        for connection in served:
            rng.choice((reset, socket.socket.close))(connection)
        waiting = [connection for connection in waiting if connection.fileno() >= 0]
        rounds += 1
    return (
        f"{total} clients of a server with {scale.descriptors} descriptors, "
        f"served in {rounds} groups"
    )


def _served(waiting: list[socket.socket], least: int) -> list[socket.socket]:
    """The connections that have received their reply; raises Fault if there are too few."""
    served: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        for connection in waiting:
            selector.register(connection, selectors.EVENT_READ, connection)
        while events := selector.select(HANG_S if len(served) < least else 0.3):
            for key, _ in events:
                if (received := key.data.recv(100)) != REPLY:
                    raise Fault(f"{received!r} to a client that waited for a descriptor")
                selector.unregister(key.data)
                served.append(key.data)
    if len(served) < least:
        raise Fault(f"only {len(served)} of {len(waiting)} clients are served, not {least}")
    return served
