"""The queue and its sessions without a server: a fake clock and no sockets."""

from __future__ import annotations

from judge.cuts import Cut
from judge.transcript import World
from testkit.memory import allocate_except_probes
from testkit.replies import split_replies

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000
# Time passes between two reads, as in a real server.
STEP_NS = 1_000


class EngineConn:
    def __init__(self, peer: EnginePeer) -> None:
        self._peer = peer
        self._session = Session(peer.dispatcher)
        self._got = b""
        self.open = True

    def send(self, block: bytes) -> None:
        for chunk in self._peer.cut.chunks(block):
            if not self.open:
                return
            self._session.receive(chunk, self._peer.iterate())
            self._peer.settle()

    def read(self, count: int) -> list[bytes]:
        """All replies that have arrived, even if there are more than `count`."""
        return split_replies(self.rest())

    def read_to_eof(self) -> list[bytes]:
        return split_replies(self.rest())

    def rest(self) -> bytes:
        rest, self._got = self._got, b""
        return rest

    def collect(self) -> bool:
        """Collects replies, continues deferred commands, and closes if the session ends.

        Returns whether anything changed.
        """
        if not self.open:
            return False
        self._got += self._session.take_output()
        if self._session.held:
            self._session.run(self._peer.now)
        elif self._session.closed:
            self._lose()
        else:
            return False
        return True

    def shutdown(self) -> None:
        self._session.end_of_input(self._peer.iterate())
        self._peer.settle()

    def close(self) -> None:
        """The client closes.

        The server sees an end of input or a broken connection. Both must have the same effect.
        """
        if self._peer.half_closes:
            self.shutdown()
            assert not self.open, "the session goes on after the end of input"
        else:
            self._peer.iterate()
            self._lose()
            self._peer.settle()
        self._got = b""

    def _lose(self) -> None:
        self.open = False
        self._session.lost(self._peer.now)


class EnginePeer:
    """One queue and its clients.

    half_closes: clients half-close before they close; otherwise their connection breaks.
    step: ns that pass between two reads.
    """

    def __init__(
        self, options: dict[str, int], cut: Cut, half_closes: bool, step: int = STEP_NS
    ) -> None:
        self.queue = Queue()
        self.queue.memory.allocate = allocate_except_probes
        self.dispatcher = Dispatcher(self.queue, max_job_size=options.get("-z", 65535))
        self.world = World()
        self.cut = cut
        self.half_closes = half_closes
        self.now = 1_000 * SECOND
        self._step = step
        self._conns: list[EngineConn] = []

    def open(self) -> EngineConn:
        conn = EngineConn(self)
        self._conns.append(conn)
        return conn

    def iterate(self) -> int:
        """Starts an iteration: time advances, and what is due happens. Returns the time."""
        self.now += self._step
        if self.queue.next_at <= self.now:
            self.queue.tick(self.now)
            self.settle()
        return self.now

    def settle(self) -> None:
        changed = [True]
        while any(changed):
            Session.settle(self.dispatcher, self.now)
            changed = [conn.collect() for conn in self._conns]

    def sync(self, idle: EngineConn | None) -> None:
        pass

    def advance(self, seconds: float) -> None:
        until = self.now + round(seconds * SECOND)
        while (at := self.queue.next_at) <= until:
            self.now = max(self.now, at)
            self.queue.tick(self.now)
            self.settle()
        self.now = until

    def drain(self) -> None:
        self.queue.draining = True

    def restart(self) -> None:
        raise NotImplementedError("the queue has nothing to come back from")

    def set_wall_clock(self, seconds: float) -> None:
        raise NotImplementedError("the queue does not know the wall clock")

    def stop(self) -> None:
        pass
