"""Many clients in one loop.

May know: clients, sockets. Promises: it goes on until the server is gone (or it is told to stop),
and then has read all that the server sent.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable

from testkit.daemon import Daemon

from .client import Client
from .mix import SHARED, Mix
from .world import Den, Fault, World

SILENCE_S = 20.0
DOZE_S = 0.3  # at most
OUTPUT_MAX = (
    1 << 20
)  # bytes not yet taken by the kernel, beyond which a client asks for nothing more
EVENT_READ, EVENT_WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Load:
    """lonely: how many of the connections have a tube of their own. dozing: the share that reads
    its answers late.
    """

    def __init__(
        self,
        world: World,
        daemon: Daemon,
        mix: Mix,
        connections: int = 50,
        lonely: int = 10,
        depth: int = 20,
        dozing: float = 0.1,
    ) -> None:
        self.world = world
        self.clients: list[Client] = []
        self._daemon = daemon
        self._mix = mix
        self._depth = depth
        self._connections = connections
        self._lonely = lonely
        self._dozing = dozing
        self._asleep: list[tuple[float, Client]] = []  # until when
        self._selector = selectors.DefaultSelector()
        self._asking = True

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Until the server has closed all connections; asks nothing more from the moment on at
        which goes_on says False.

        Then it returns as soon as everything is answered.
        """
        try:
            for number in range(self._connections):
                self._open(number)
            self._talk(goes_on)
        finally:
            for client in self.clients:
                client.close()
            self._selector.close()

    def _talk(self, goes_on: Callable[[], bool]) -> None:
        heard_at = time.monotonic()
        while self._selector.get_map() or self._asleep:
            self._asking = self._asking and goes_on()
            if not self._asking and not any(
                client.under_way and not client.ended for client in self.clients
            ):
                return
            self._wake(time.monotonic())
            events = self._selector.select(0.05)
            now = time.monotonic()
            if events:
                heard_at = now
            elif now - heard_at > SILENCE_S:
                raise Fault(f"nothing from the server for {SILENCE_S:.0f} s: {self._waiting()}")
            for key, mask in events:
                self._turn(key.data, mask)

    def _open(self, number: int) -> None:
        try:
            connection = self._daemon.connect()
        except OSError:
            return  # it is gone already
        den = None
        if number < self._lonely:
            tube = b"lonely-%d" % number
            den = self.world.dens.setdefault(tube, Den(tube))
        client = Client(self.world, connection, SHARED if den is None else (den.tube,), den)
        client.depth = 1 + int(self.world.chance.random() * self._depth)
        client.share = 1.0 if den is None else 0.02
        client.dozes = self.world.chance.random() < self._dozing
        self.clients.append(client)
        self._selector.register(connection, EVENT_READ, client)
        self._turn(client, 0)

    def _turn(self, client: Client, mask: int) -> None:
        if mask & EVENT_READ:
            client.receive()
        if self._asking and not client.ended:
            self._refill(client)
        if client.ended:
            self._let_go(client)
            return
        wants = EVENT_READ if client.flush() else EVENT_READ | EVENT_WRITE
        if self._selector.get_key(client.socket).events != wants:
            self._selector.modify(client.socket, wants, client)
        if client.dozes and client.chance.random() < 0.1:
            self._selector.unregister(client.socket)
            self._asleep.append((time.monotonic() + DOZE_S * client.chance.random(), client))

    def _let_go(self, client: Client) -> None:
        """The server closed it, or the client did, and then another takes its place."""
        self._selector.unregister(client.socket)
        client.socket.close()
        if self._asking and client.left:
            self._open(self._connections)

    def _wake(self, now: float) -> None:
        for place in reversed(range(len(self._asleep))):
            if self._asleep[place][0] <= now:
                _, client = self._asleep.pop(place)
                self._selector.register(client.socket, EVENT_READ, client)
                self._turn(client, 0)

    def _refill(self, client: Client) -> None:
        """New commands, when half of the old ones were answered."""
        if 2 * len(client.under_way) > client.depth or len(client.output) > OUTPUT_MAX:
            return
        while len(client.under_way) < client.depth and not (client.quitting or client.ended):
            self._mix.think(client)

    def _waiting(self) -> str:
        return ", ".join(
            f"{client.serial}: {client.under_way[0].act}"
            for client in self.clients
            if client.under_way
        )
