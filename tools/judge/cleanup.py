"""Removes all jobs from a running server, so that it can be used again. Counters and ids remain."""

from __future__ import annotations

from testkit.client import Client
from testkit.daemon import Daemon


def clear(daemon: Daemon) -> int:
    """Deletes all jobs and returns the last id in use."""
    with Client(daemon.connect()) as client:

        def ask(line: str) -> list[str]:
            return client.ask(line.encode() + b"\r\n").decode("latin-1").split()

        for tube in [word for word in ask("list-tubes")[3:] if word != "-"]:
            ask(f"use {tube}")
            for state in "ready", "delayed", "buried":
                while (found := ask(f"peek-{state}"))[0] == "FOUND":
                    ask(f"delete {found[1]}")
        ask("use default")
        base = int(ask("put 0 0 1 0\r\n")[1])
        ask(f"delete {base}")
        return base
