"""Removes all jobs from a running server, so that it can be used again. Counters and ids remain."""

from __future__ import annotations

from testkit.client import Client
from testkit.daemon import Daemon


def clear(daemon: Daemon) -> int:
    """Deletes all jobs and returns the last id in use."""
    with Client(daemon.connect()) as client:

        def ask(*lines: bytes) -> list[list[bytes]]:
            """The words of the replies."""
            client.say(b"".join([line + b"\r\n" for line in lines]))
            return [reply.split() for reply in client.hear(len(lines))]

        (listed,) = ask(b"list-tubes")
        for tube in [word for word in listed[3:] if word != b"-"]:
            peeks = b"use " + tube, b"peek-ready", b"peek-delayed", b"peek-buried"
            while ids := [reply[1] for reply in ask(*peeks)[1:] if reply[0] == b"FOUND"]:
                ask(*[b"delete " + id for id in ids])
        _, inserted = ask(b"use default", b"put 0 0 1 0\r\n")
        ask(b"delete " + inserted[1])
        return int(inserted[1])
