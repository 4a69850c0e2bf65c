"""Connections that come and go, many at once; and more of them than there are descriptors for.

May know: a daemon, sockets. Promises: nobody's end disturbs anybody else; who waits for a
descriptor is served when there is one.
"""

from __future__ import annotations

import selectors
import socket
from random import Random

from killtest.daemon import Daemon
from killtest.world import Fault

from .crowd import ANSWER, ASK
from .halfopen import reset
from .scale import Scale
from .vitals import IDLE_TICKS, check_right_answers, ticks_of_a_second, vitals

AT_ONCE = 200
SILENCE_S = 20.0
TOO_MANY = r"\S+: \d+ connections: no descriptors for more, so others wait\n"


def storm(daemon: Daemon, scale: Scale, chance: Random) -> str:
    for _ in range(0, scale.storm, AT_ONCE):
        connections = [_connect(daemon, chance) for _ in range(AT_ONCE)]
        for connection in connections:
            _come_and_go(connection, chance.randrange(6))
    check_right_answers(daemon, 10)
    return f"{scale.storm} connections that come and go"


def _connect(daemon: Daemon, chance: Random) -> socket.socket:
    """From one of many addresses: each has ports of its own, and closed ones are not free at once."""
    source = f"127.0.{chance.randrange(1, 200)}.{chance.randrange(1, 250)}"
    return socket.create_connection(("127.0.0.1", daemon.port), SILENCE_S, (source, 0))


def _come_and_go(connection: socket.socket, how: int) -> None:
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
        connection.sendall(ASK)
        if (said := connection.recv(100)) != ANSWER:
            raise Fault(f"{said!r} in a storm")
    elif how == 4:
        connection.sendall(b"quit\r\n")
        connection.recv(100)
    connection.close()


def few_descriptors(daemon: Daemon, scale: Scale, chance: Random) -> str:
    """The daemon was given scale.descriptors."""
    pid = daemon.process.pid
    waiting = [daemon.connect() for _ in range(2 * scale.descriptors)]
    for connection in waiting:
        connection.sendall(ASK)
    total = len(waiting)
    least = scale.descriptors // 2  # the log has some of them
    rounds = 0
    while waiting:
        served = _served(waiting, min(least, len(waiting)))
        if len(waiting) > len(served) and (ticks := ticks_of_a_second(pid)) > 10 * IDLE_TICKS:
            raise Fault(f"{ticks} ticks of CPU in a second in which nobody can be accepted")
        if (count := vitals(pid).descriptors) > scale.descriptors:
            raise Fault(f"{count} descriptors of {scale.descriptors}")
        chance.shuffle(served)
        for connection in served:
            chance.choice((reset, socket.socket.close))(connection)
        waiting = [connection for connection in waiting if connection.fileno() >= 0]
        rounds += 1
    return (
        f"{total} clients of a server with {scale.descriptors} descriptors, served in {rounds} lots"
    )


def _served(waiting: list[socket.socket], least: int) -> list[socket.socket]:
    """Those that have their answer, at least so many."""
    served: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        for connection in waiting:
            selector.register(connection, selectors.EVENT_READ, connection)
        while events := selector.select(SILENCE_S if len(served) < least else 0.3):
            for key, _ in events:
                if (said := key.data.recv(100)) != ANSWER:
                    raise Fault(f"{said!r} to one that waited for a descriptor")
                selector.unregister(key.data)
                served.append(key.data)
    if len(served) < least:
        raise Fault(f"only {len(served)} of {len(waiting)} clients are served, not {least}")
    return served
