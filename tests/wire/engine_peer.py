"""The queue and its sessions without a server: a fake clock, no sockets."""

from __future__ import annotations

from judge.cuts import Cut
from judge.stream import split_replies
from judge.transcript import World

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000
#: Real time goes on between any two reads, and so does the fake clock.
TURN = 1_000


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
            self._session.receive(chunk, self._peer.turn())
            self._peer.settle()

    def read(self, count: int) -> list[bytes]:
        """All that has come, be it more than asked for."""
        return split_replies(self.rest())

    def read_to_eof(self) -> list[bytes]:
        return split_replies(self.rest())

    def rest(self) -> bytes:
        rest, self._got = self._got, b""
        return rest

    def collect(self) -> bool:
        """Takes the replies, goes on with what was held back for them, closes if the session says
        so. Did that change anything?
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
        self._session.end_of_input(self._peer.turn())
        self._peer.settle()

    def close(self) -> None:
        """The client closes: the server may see an end of input or a broken connection; both must
        come to the same.
        """
        if self._peer.polite:
            self.shutdown()
            assert not self.open, "the session goes on after the end of input"
        else:
            self._peer.turn()
            self._lose()
            self._peer.settle()
        self._got = b""

    def _lose(self) -> None:
        self.open = False
        self._session.lost(self._peer.now)


class EnginePeer:
    """One queue and its clients.

    polite: clients that close shut down first; otherwise their connection breaks.
    turn: ns that pass between two reads.
    """

    def __init__(self, options: dict[str, int], cut: Cut, polite: bool, turn: int = TURN) -> None:
        self.queue = Queue()
        self.dispatcher = Dispatcher(self.queue, max_job_size=options.get("-z", 65535))
        self.world = World()
        self.cut = cut
        self.polite = polite
        self.now = 1_000 * SECOND
        self._turn = turn
        self._conns: list[EngineConn] = []

    def open(self) -> EngineConn:
        conn = EngineConn(self)
        self._conns.append(conn)
        return conn

    def turn(self) -> int:
        """One turn of a server's loop begins: its time; what is due is dealt with first."""
        self.now += self._turn
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
