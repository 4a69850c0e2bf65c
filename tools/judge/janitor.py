"""Makes a used server as good as new, but for its counters and its ids.

May know: a running server, as any client does.
"""

from __future__ import annotations

from .daemon import Daemon
from .stream import take_reply


def clear(daemon: Daemon) -> int:
    """Deletes all jobs and returns the last id given."""
    with daemon.connect() as janitor:

        def ask(line: str) -> list[str]:
            janitor.sendall(line.encode() + b"\r\n")
            reply = b""
            while take_reply(reply) is None:
                data = janitor.recv(1 << 20)
                assert data, "the server closed the janitor's connection"
                reply += data
            return reply.decode("latin-1").split()

        for tube in [word for word in ask("list-tubes")[3:] if word != "-"]:
            ask(f"use {tube}")
            for state in "ready", "delayed", "buried":
                while (found := ask(f"peek-{state}"))[0] == "FOUND":
                    ask(f"delete {found[1]}")
        ask("use default")
        base = int(ask("put 0 0 1 0\r\n")[1])
        ask(f"delete {base}")
        return base
