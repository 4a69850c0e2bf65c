"""One of the two servers, and the clients' connections to it.

May know: processes, sockets, the stream of replies. Decides nothing: what it heard is for others to
compare.
"""

from __future__ import annotations

import signal
from collections import defaultdict

from .cuts import WHOLE
from .daemon import Daemon
from .live_peer import LiveConn
from .moves import Move
from .stream import take_reply

PATIENCE_S = 5.0


class Lost(Exception):
    """The server did not answer the witness, or is gone."""


class Side:
    """witness: a connection of the judge's own, which never waits and is amid nothing."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.heard: dict[str, list[bytes]] = defaultdict(list)  # replies by client, whole ones
        self.ended: set[str] = set()  # clients whose connection the server closed
        self._conns: dict[str, LiveConn] = {}
        self._rests: dict[str, bytes] = defaultdict(bytes)
        self._witness = LiveConn(daemon, WHOLE)

    def do(self, move: Move) -> None:
        """A client that is not there (any more) does nothing."""
        if move.verb == "open":
            self._conns[move.name] = LiveConn(self.daemon, WHOLE)
            self.ended.discard(move.name)
        elif move.verb == "restart":
            self._restart()
        elif move.verb == "drain":
            self.daemon.send_signal(signal.SIGUSR1)
        elif (conn := self._conns.get(move.name)) is not None and conn.open:
            if move.verb == "send":
                conn.send(move.data)
            elif move.verb == "shutdown":
                conn.shutdown()
            elif move.verb == "close":
                self._conns.pop(move.name).close()

    def _restart(self) -> None:
        self.daemon.kill()
        self.close()
        self.ended.update(self._conns)
        self._conns.clear()
        self._rests.clear()
        self.daemon.start()
        self._witness = LiveConn(self.daemon, WHOLE)

    def ask(self, line: bytes) -> bytes:
        """The witness's question. When its answer is here, what arrived before it has been read."""
        self._witness.send(line + b"\r\n")
        replies = self._witness.read(1)
        if not replies:
            status = self.daemon.process.poll()
            raise Lost(
                f"{self.daemon.program[0]}: no answer to {line!r}, status {status}: {self.daemon.said()!r}"
            )
        return replies[0]

    def settle(self, turns: int) -> None:
        """An unknown word is asked, because it is counted nowhere."""
        for _ in range(turns):
            self.ask(b"?")

    def listen(self) -> None:
        """Takes what has come. What can be no reply raises Malformed."""
        for name, conn in [each for each in self._conns.items() if each[1].open]:
            data = self._rests[name] + conn.rest()
            while data and (taken := take_reply(data, old_memory=True)) is not None:
                self.heard[name].append(taken[0])
                data = taken[1]
            self._rests[name] = data
        self.ended.update(name for name, conn in self._conns.items() if not conn.open)

    def close(self) -> None:
        for conn in self._conns.values():
            conn.close()
        self._witness.close()
