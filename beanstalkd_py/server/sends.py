"""Replies that are sent together: at the end of a poll batch, or before one that is sent alone."""

from typing import Protocol

from beanstalkd_py.queue.memory import MemoryReserve
from beanstalkd_py.server.batchedio import BUILT, send_all


class Sender(Protocol):
    """What sends replies to one client: a connection."""

    def send_alone(self, data: bytes | memoryview) -> None:
        """Sends what the batch did not send, or keeps it until the socket takes bytes again."""


class Sends:
    """items: a descriptor, a piece of a reply, and who sends what is left of it."""

    def __init__(self, memory: MemoryReserve) -> None:
        self._memory = memory
        self.items: list[tuple[int, bytes, Sender]] = []

    def send(self) -> bool:
        """Sends all, in order. If a socket does not take its piece, the rest is sent one by one,
        because further pieces may be of the same client. Then the result is True: a connection may
        be closed, and other clients may have got its jobs.
        """
        items = self.items
        if not items:
            return False
        stop = self._send_all()
        if stop is None:
            items.clear()
            return False
        index, taken = stop
        rest = items[index:]
        items.clear()
        for _, piece, sender in rest:
            sender.send_alone(memoryview(piece)[taken:] if taken else piece)
            taken = 0
        return True

    def _send_all(self) -> tuple[int, int] | None:
        try:
            return send_all(self.items)
        except MemoryError:
            if not BUILT:
                raise
            self._memory.release()
            return send_all(self.items)
