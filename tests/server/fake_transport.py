"""A transport without a socket. It holds what the client has sent and takes as many bytes as the
test allows.
"""

from __future__ import annotations

from collections.abc import Callable

EVERYTHING = 1 << 40


class FakeTransport:
    """Receives in pieces of `piece` bytes, and reports one event for all that has arrived, as TLS
    does with records that it has decrypted.
    """

    batched = False

    def __init__(self, piece: int = EVERYTHING, fd: int = 7) -> None:
        self.fd = fd
        self.piece = piece
        self.receive_again_from = 1
        self.opened_at = 0
        self.arrived = b""
        self.ended = False
        self.takes = EVERYTHING
        self.sent = b""
        self.closed = self.awaits_writable = False

    @property
    def receive(self) -> Callable[[int], bytes]:
        return self._receive

    def peer(self) -> tuple[str, str]:
        return "", ""

    @property
    def send(self) -> Callable[[bytes | bytearray | memoryview], int]:
        return self._send

    def _receive(self, nbytes: int) -> bytes:
        data, self.arrived = (
            self.arrived[: min(nbytes, self.piece)],
            self.arrived[min(nbytes, self.piece) :],
        )
        if not data and not self.ended:
            raise BlockingIOError
        return data

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        taken = bytes(data)[: self.takes]
        if not taken:
            raise BlockingIOError
        self.sent += taken
        self.takes -= len(taken)
        return len(taken)

    def translate(self, event: int) -> int:
        return event

    def await_writable(self, wanted: bool) -> None:
        self.awaits_writable = wanted

    def undelivered(self) -> int:
        return 0

    def shutdown(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True
