"""Clients that send their commands slowly, byte by byte.

Each client gets the right reply once its command is complete. Meanwhile other clients are served.
"""

from __future__ import annotations

import time
from random import Random

from killtest.conversation import Conversation
from killtest.fault import Fault
from testkit.daemon import Daemon

from .process_metrics import check_serves, process_metrics
from .scale import Scale

LAST_BYTES = 6  # the last bytes of each command, sent one at a time
COMMANDS = (
    (b"peek 18446744073709551615\r\n", b"NOT_FOUND\r\n"),
    (b"list-tube-used\r\n", b"USING default\r\n"),
    (b"use some-tube\r\n", b"USING some-tube\r\n"),
    (b"put 0 1000 60 5\r\n12345\r\n", b"INSERTED "),
    (b"reserve-with-timeout -1\r\n", b"BAD_FORMAT\r\n"),
    (b"nonsense\r\n", b"UNKNOWN_COMMAND\r\n"),
)


def slow_writers(daemon: Daemon, scale: Scale, rng: Random) -> str:
    before = process_metrics(daemon.process.pid).ticks
    clients = [(daemon.connect(), *rng.choice(COMMANDS)) for _ in range(scale.slow_writers)]
    for connection, command, _ in clients:
        connection.sendall(command[:-LAST_BYTES])
    started_at = time.monotonic()
    for step in range(LAST_BYTES):
        for number, (connection, command, _) in enumerate(clients):
            send_at = started_at + (step + number / len(clients)) * scale.write_interval_s
            time.sleep(max(0.0, send_at - time.monotonic()))
            connection.sendall(command[step - LAST_BYTES :][:1])
        check_serves(daemon, 5)
    ids = []
    for connection, command, expected in clients:
        received = connection.recv(100)
        if not received.startswith(expected):
            raise Fault(f"{received!r} to {command!r} sent slowly, not {expected!r}")
        if received.startswith(b"INSERTED"):
            ids.append(int(received.split()[1]))
        connection.close()
    ticks = process_metrics(daemon.process.pid).ticks - before
    with Conversation(daemon.connect()) as client:
        if set(client.say(*[b"delete %d" % id for id in ids])) - {"DELETED"}:
            raise Fault("a job that was put slowly is missing")
    took_s = time.monotonic() - started_at
    return (
        f"{scale.slow_writers} clients that send a byte every {scale.write_interval_s:g} s "
        f"({ticks} ticks of CPU in {took_s:.0f} s)"
    )
