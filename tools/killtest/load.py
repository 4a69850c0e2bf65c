"""Runs many clients in one loop, until the server closes all connections or the load is stopped.

All replies that the server has sent are read.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from testkit.daemon import Daemon
from testkit.waiting import HANG_S

from .client import Client
from .clock import now_s
from .fault import Fault
from .knowledge import Knowledge, PrivateTube
from .mix import SHARED, Mix

READ_PAUSE_S = 0.3  # maximum
OUTPUT_MAX = 1 << 20  # unsent bytes; with more, a client sends no new command
EVENT_READ, EVENT_WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Load:
    """private: number of connections with a private tube. slow_share: share of slow readers."""

    def __init__(
        self,
        knowledge: Knowledge,
        daemon: Daemon,
        mix: Mix,
        connections: int = 50,
        private: int = 10,
        depth: int = 20,
        slow_share: float = 0.1,
    ) -> None:
        self.knowledge = knowledge
        self.clients: list[Client] = []
        self._daemon = daemon
        self._mix = mix
        self._depth = depth
        self._connections = connections
        self._private = private
        self._slow_share = slow_share
        self._paused: list[tuple[float, Client]] = []  # clients that do not read until this time
        self._selector = selectors.DefaultSelector()
        self._sending = True

    def run(self, keep_going: Callable[[], bool] = lambda: True) -> None:
        """Runs until the server has closed all connections.

        Once keep_going returns False, no command is sent, and it returns after the last reply.
        """
        try:
            for number in range(self._connections):
                self._open(number)
            self._run_clients(keep_going)
        finally:
            for client in self.clients:
                client.close()
            self._selector.close()

    def _run_clients(self, keep_going: Callable[[], bool]) -> None:
        heard_at = now_s()
        while self._selector.get_map() or self._paused:
            self._sending = self._sending and keep_going()
            if not self._sending and not any(
                client.in_flight and not client.ended for client in self.clients
            ):
                return
            self._resume(now_s())
            events = self._selector.select(0.05)
            now = now_s()
            if events:
                heard_at = now
            elif now - heard_at > HANG_S:
                raise Fault(f"no reply for {HANG_S:.0f} s: {self._waiting()}")
            for key, mask in events:
                self._serve(key.data, mask)

    def _open(self, number: int) -> None:
        try:
            connection = self._daemon.connect()
        except OSError:
            return  # the server has ended already
        private = None
        if number < self._private:
            tube = b"private-%d" % number
            private = self.knowledge.private_tubes.setdefault(tube, PrivateTube(tube))
        client = Client(
            self.knowledge, connection, SHARED if private is None else (private.tube,), private
        )
        client.depth = 1 + int(self.knowledge.rng.random() * self._depth)
        client.share = 1.0 if private is None else 0.02
        client.reads_slowly = self.knowledge.rng.random() < self._slow_share
        self.clients.append(client)
        self._selector.register(connection, EVENT_READ, client)
        self._serve(client, 0)

    def _serve(self, client: Client, mask: int) -> None:
        if mask & EVENT_READ:
            client.receive()
        if self._sending and not client.ended:
            self._refill(client)
        if client.ended:
            self._close(client)
            return
        wants = EVENT_READ if client.flush() else EVENT_READ | EVENT_WRITE
        if self._selector.get_key(client.socket).events != wants:
            self._selector.modify(client.socket, wants, client)
        if client.reads_slowly and client.rng.random() < 0.1:
            self._selector.unregister(client.socket)
            self._paused.append((now_s() + READ_PAUSE_S * client.rng.random(), client))

    def _close(self, client: Client) -> None:
        """The connection is closed. If the client closed it, another client connects."""
        self._selector.unregister(client.socket)
        client.socket.close()
        if self._sending and client.left:
            self._open(self._connections)

    def _resume(self, now: float) -> None:
        for place in reversed(range(len(self._paused))):
            if self._paused[place][0] <= now:
                _, client = self._paused.pop(place)
                self._selector.register(client.socket, EVENT_READ, client)
                self._serve(client, 0)

    def _refill(self, client: Client) -> None:
        """Adds commands once half of the earlier ones have their reply."""
        if 2 * len(client.in_flight) > client.depth or len(client.output) > OUTPUT_MAX:
            return
        while len(client.in_flight) < client.depth and not (client.quitting or client.ended):
            self._mix.choose_command(client)

    def _waiting(self) -> str:
        return ", ".join(
            f"{client.serial}: {client.in_flight[0].act}"
            for client in self.clients
            if client.in_flight
        )
