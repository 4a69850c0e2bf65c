"""Clients that request megabytes and do not read them.

The server keeps a bounded amount of memory for each and serves other clients. Clients that read
later receive every byte, in order.
"""

from __future__ import annotations

import socket
import time
from random import Random

from killtest.conversation import Conversation, put
from killtest.fault import Fault
from testkit.client import reset
from testkit.daemon import Daemon

from .process_metrics import MIB, check_serves, idle_metrics, process_metrics
from .scale import Scale

BODY_BYTES = 60_000
REQUESTED = 500  # replies of that size per client: 30 MB
LATE_READERS = 5  # clients that read in the end
BYTES_EACH = 1 << 20  # maximum memory of the server per client
PAUSE_S = 0.3


def slow_readers(daemon: Daemon, scale: Scale, rng: Random) -> str:
    pid = daemon.process.pid
    before = idle_metrics(daemon)
    with Conversation(daemon.connect()) as client:
        body = rng.randbytes(BODY_BYTES)
        (inserted,) = client.ask(put(body))
        reply = b"FOUND %d %d\r\n%b\r\n" % (inserted.id, BODY_BYTES, body)
        readers = [_request(daemon, inserted.id) for _ in range(scale.slow_readers)]
        executed = _executed_commands(client)
        kept = process_metrics(pid).rss_bytes - before.rss_bytes
        if executed >= scale.slow_readers * REQUESTED:
            raise Fault(f"the server executed all {executed} commands of clients that do not read")
        if kept > scale.slow_readers * BYTES_EACH:
            raise Fault(
                f"{kept // MIB} MiB kept for {scale.slow_readers} clients that do not read, "
                f"not {scale.slow_readers * BYTES_EACH // MIB}"
            )
        check_serves(daemon, 50)
        for reader in readers[:LATE_READERS]:
            _read_all(reader, reply)
        for reader in readers[LATE_READERS:]:
            rng.choice((reset, socket.socket.close))(reader)
        client.ask(b"delete %d" % inserted.id)
    unread = REQUESTED * BODY_BYTES // 1_000_000
    each = kept // 1024 // scale.slow_readers
    return f"{scale.slow_readers} clients that leave {unread} MB unread ({each} KiB each)"


def _executed_commands(client: Conversation) -> int:
    """Waits until the server executes no further command; returns how many it executed."""
    before = -1
    while before != (now := int(client.stats()["cmd-peek"])):
        before = now
        time.sleep(PAUSE_S)
    return now


def _request(daemon: Daemon, id: int) -> socket.socket:
    connection = daemon.connect()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.sendall(b"peek %d\r\n" % id * REQUESTED)
    return connection


def _read_all(reader: socket.socket, reply: bytes) -> None:
    with reader, reader.makefile("rb") as stream:
        for number in range(REQUESTED):
            if (received := stream.read(len(reply))) != reply:
                raise Fault(
                    f"reply {number} of {REQUESTED}, read late: {received[:60]!r}, "
                    f"{len(received)} bytes"
                )
