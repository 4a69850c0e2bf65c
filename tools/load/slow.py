"""Clients that ask for megabytes and do not read them.

May know: a daemon, sockets. Promises: they cost bounded memory and disturb nobody; those that read
after all get every byte, in order.
"""

from __future__ import annotations

import socket
import time
from random import Random

from killtest.conversation import Conversation, put
from killtest.daemon import Daemon
from killtest.world import Fault

from .halfopen import reset
from .scale import Scale
from .vitals import MIB, check_right_answers, vitals, vitals_at_rest

BODY_BYTES = 60_000
ASKED = 500  # replies of that size, by each: 30 MB
READERS = 5  # of those that read after all
BYTES_EACH = 1 << 20  # that the server may keep for one
LOOK_S = 0.3


def slow(daemon: Daemon, scale: Scale, chance: Random) -> str:
    pid = daemon.process.pid
    before = vitals_at_rest(daemon)
    with Conversation(daemon.connect()) as client:
        body = chance.randbytes(BODY_BYTES)
        (inserted,) = client.ask(put(body))
        reply = b"FOUND %d %d\r\n%b\r\n" % (inserted.id, BODY_BYTES, body)
        readers = [_asking(daemon, inserted.id) for _ in range(scale.slow)]
        answered = _when_it_stops(client)
        kept = vitals(pid).rss_bytes - before.rss_bytes
        if answered >= scale.slow * ASKED:
            raise Fault(f"all {answered} commands of clients that do not read were carried out")
        if kept > scale.slow * BYTES_EACH:
            raise Fault(
                f"{kept // MIB} MiB are kept for {scale.slow} clients that do not read, not {scale.slow * BYTES_EACH // MIB}"
            )
        check_right_answers(daemon, 50)
        for reader in readers[:READERS]:
            _read_all(reader, reply)
        for reader in readers[READERS:]:
            chance.choice((reset, socket.socket.close))(reader)
        client.ask(b"delete %d" % inserted.id)
    return f"{scale.slow} clients that leave {ASKED * BODY_BYTES // 1_000_000} MB unread ({kept // 1024 // scale.slow} KiB each)"


def _when_it_stops(client: Conversation) -> int:
    """How many of the commands were carried out by then."""
    before = -1
    while before != (now := int(client.stats()["cmd-peek"])):
        before = now
        time.sleep(LOOK_S)
    return now


def _asking(daemon: Daemon, id: int) -> socket.socket:
    connection = daemon.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.sendall(b"peek %d\r\n" % id * ASKED)
    return connection


def _read_all(reader: socket.socket, reply: bytes) -> None:
    with reader, reader.makefile("rb") as stream:
        for number in range(ASKED):
            if (said := stream.read(len(reply))) != reply:
                raise Fault(
                    f"reply {number} of {ASKED}, read late: {said[:60]!r}, {len(said)} bytes"
                )
