"""Clients that send a byte now and then.

May know: a daemon, sockets. Promises: each is answered right when its command is whole, and not
before; meanwhile others are served.
"""

from __future__ import annotations

import time
from random import Random

from killtest.conversation import Conversation
from killtest.daemon import Daemon
from killtest.world import Fault

from .scale import Scale
from .vitals import check_right_answers, vitals

DROPS = 6  # bytes that are sent one by one: the last ones
COMMANDS = (
    (b"peek 18446744073709551615\r\n", b"NOT_FOUND\r\n"),
    (b"list-tube-used\r\n", b"USING default\r\n"),
    (b"use some-tube\r\n", b"USING some-tube\r\n"),
    (b"put 0 1000 60 5\r\n12345\r\n", b"INSERTED "),
    (b"reserve-with-timeout -1\r\n", b"BAD_FORMAT\r\n"),
    (b"nonsense\r\n", b"UNKNOWN_COMMAND\r\n"),
)


def drip(daemon: Daemon, scale: Scale, chance: Random) -> str:
    before = vitals(daemon.process.pid).ticks
    clients = [(daemon.connect(), *chance.choice(COMMANDS)) for _ in range(scale.drip)]
    for connection, command, _ in clients:
        connection.sendall(command[:-DROPS])
    begun_at = time.monotonic()
    for drop in range(DROPS):
        for number, (connection, command, _) in enumerate(clients):
            time.sleep(
                max(
                    0.0, begun_at + (drop + number / len(clients)) * scale.drip_s - time.monotonic()
                )
            )
            connection.sendall(command[drop - DROPS :][:1])
        check_right_answers(daemon, 5)
    ids = []
    for connection, command, expected in clients:
        said = connection.recv(100)
        if not said.startswith(expected):
            raise Fault(f"{said!r} to {command!r} in drops, not {expected!r}")
        if said.startswith(b"INSERTED"):
            ids.append(int(said.split()[1]))
        connection.close()
    ticks = vitals(daemon.process.pid).ticks - before
    with Conversation(daemon.connect()) as client:
        if set(client.say(*[b"delete %d" % id for id in ids])) - {"DELETED"}:
            raise Fault("a job that was put in drops is not there")
    return f"{scale.drip} clients that send a byte every {scale.drip_s:g} s ({ticks} ticks of CPU in {time.monotonic() - begun_at:.0f} s)"
