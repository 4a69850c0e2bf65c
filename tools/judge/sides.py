"""One of the two servers, and the connections of the clients to it.

It only collects replies; the comparison is made elsewhere.
"""

from __future__ import annotations

import signal
from collections import defaultdict

from testkit.daemon import Daemon
from testkit.replies import take_reply

from .actions import Action
from .cuts import WHOLE
from .live_peer import LiveConn
from .mixing import Mixer


class ServerGone(Exception):
    """The server does not reply to the observer, or has ended."""


class Side:
    """The observer is a further connection that never waits and has no incomplete command.

    mix: a seed for each of the clients, and the largest body; "" if nothing is mixed in.
    mixed: the commands that were mixed in, with their client.
    """

    def __init__(self, daemon: Daemon, mix: str = "", max_job_size: int = 0) -> None:
        self.daemon = daemon
        self.mixed: list[tuple[str, bytes]] = []
        self._mix = mix
        self._max_job_size = max_job_size
        self._mixers: dict[str, Mixer] = {}
        self.replies: dict[str, list[bytes]] = defaultdict(list)  # complete replies by client
        self.closed: set[str] = set()  # clients whose connection the server has closed
        self.reset: set[str] = set()  # of these, the clients whose connection it has reset
        self._conns: dict[str, LiveConn] = {}
        self._rests: dict[str, bytes] = defaultdict(bytes)
        self._observer = LiveConn(daemon, WHOLE)

    def do(self, action: Action) -> None:
        """Performs an action. An action of a closed client does nothing."""
        if action.verb == "open":
            self._conns[action.name] = LiveConn(self.daemon, WHOLE)
            if self._mix:
                seed = f"{self._mix} {action.name}"
                self._mixers[action.name] = Mixer(seed, self._max_job_size)
            self.closed.discard(action.name)
            self.reset.discard(action.name)
        elif action.verb == "restart":
            self._restart()
        elif action.verb == "drain":
            self.daemon.send_signal(signal.SIGUSR1)
        elif (conn := self._conns.get(action.name)) is not None and conn.open:
            if action.verb == "send":
                conn.send(self._mixed_into(action.name, action.data))
            elif action.verb == "shutdown":
                conn.shutdown()
            elif action.verb == "close":
                self._conns.pop(action.name).close()

    def _mixed_into(self, name: str, data: bytes) -> bytes:
        mixer = self._mixers.get(name)
        if mixer is None:
            return data
        before = len(mixer.mixed)
        data = mixer.send(data)
        self.mixed += [(name, line) for line in mixer.mixed[before:]]
        return data

    def _restart(self) -> None:
        self.daemon.kill()
        self.close()
        self.closed.update(self._conns)
        self.reset.clear()
        self._conns.clear()
        self._rests.clear()
        self.daemon.start()
        self._observer = LiveConn(self.daemon, WHOLE)

    def request(self, line: bytes) -> bytes:
        """Sends a command of the observer. Its reply shows that earlier bytes are processed."""
        self._observer.send(line + b"\r\n")
        replies = self._observer.read(1)
        if not replies:
            status = self.daemon.process.poll()
            raise ServerGone(
                f"{self.daemon.program[0]}: no reply to {line!r}, status {status}: "
                f"{self.daemon.said()!r}"
            )
        return replies[0]

    def settle(self, iterations: int) -> None:
        """Waits until earlier bytes are processed. No counter counts an unknown command."""
        for _ in range(iterations):
            self.request(b"?")

    def receive(self) -> None:
        """Receives what has arrived. Raises Malformed for bytes that are not a reply."""
        for name, conn in [each for each in self._conns.items() if each[1].open]:
            data = self._rests[name] + conn.rest()
            while data and (taken := take_reply(data, old_memory=True)) is not None:
                reply, data = taken
                if name in self._mixers:
                    reply = self._mixers[name].take(reply)
                if reply:
                    self.replies[name].append(reply)
            self._rests[name] = data
        self.closed.update(name for name, conn in self._conns.items() if not conn.open)
        self.reset.update(name for name, conn in self._conns.items() if conn.reset)

    def close(self) -> None:
        for conn in self._conns.values():
            conn.close()
        self._observer.close()
