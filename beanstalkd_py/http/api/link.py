"""A connection to a server by its protocol, as a client has it.

Several commands can be sent at once. They must be few and short: nothing is read before all of them
are sent, and a server reads no more from a client that does not read its replies.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import gevent

from beanstalkd_py.http.api.errors import ApiError

ANSWER_S = 30.0  # without a byte of a reply
LONG_S = 3600.0
LINE_MOST = 1024
COMMAND_MOST = 224  # bytes of a line that a server takes
PIECE_BYTES = 64 << 10
SIZE_MOST = 1 << 32  # of a body: no server has longer ones
BODY_MOST = 64 << 20  # of a reply that is kept in memory
TOGETHER = 100  # commands at once: a server executes them in 1 to 2 ms
_BODIES = {b"OK": 1, b"FOUND": 2, b"RESERVED": 2}  # which word of the line has the body's length

T = TypeVar("T")


class Reply(NamedTuple):
    """words: of the line. body: of what follows, or its beginning. size: bytes of all of it."""

    words: list[bytes]
    body: bytes = b""
    size: int = 0

    @property
    def word(self) -> str:
        return self.words[0].decode("latin-1")

    def number(self, place: int = 1) -> int:
        try:
            return int(self.words[place])
        except (IndexError, ValueError):
            raise _not_understood(b" ".join(self.words)) from None


class Link:
    """connection: a socket of gevent, connected to the server."""

    def __init__(self, connection: Any) -> None:
        self._socket = connection
        self._socket.settimeout(ANSWER_S)
        self._got = bytearray()
        self._waits = 0  # replies that are not received completely
        self.state = False  # it may use a tube or have a job: the next request must not get it

    @property
    def is_clean(self) -> bool:
        """Whether it is as a new connection."""
        return not (self._waits or self._got or self.state)

    def __enter__(self) -> "Link":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, *commands: bytes, keep: int | None = None) -> list[Reply]:
        """One reply for each command. keep: bytes of a body that are of interest."""
        self.send(*commands)
        return [self.reply(keep) for _ in commands]

    def one(self, command: bytes, keep: int | None = None) -> Reply:
        return self.ask(command, keep=keep)[0]

    def wait_longer(self) -> None:
        """For a command on many jobs, whose reply comes when all is done."""
        self._socket.settimeout(LONG_S)
        self.state = True

    def send(self, *commands: bytes) -> None:
        self._waits += len(commands)
        try:
            self._socket.sendall(b"".join(commands))
        except (OSError, gevent.Timeout) as error:
            raise _lost(error) from error

    def reply(self, keep: int | None = None) -> Reply:
        head = self.head()
        if head.words[0] not in _BODIES:
            return head
        if keep is None and head.size > BODY_MOST:
            raise ApiError(502, "too_long", f"A reply of the server has {head.size} bytes.")
        kept = bytearray()
        for piece in self.pieces(head.size):
            if keep is None:
                kept += piece
            elif len(kept) < keep:
                kept += piece[: keep - len(kept)]
        return head._replace(body=bytes(kept))

    def head(self) -> Reply:
        """The line of a reply. Its body is to be taken by `pieces`."""
        while (end := self._got.find(b"\r\n")) < 0:
            if len(self._got) > LINE_MOST:
                raise _not_understood(bytes(self._got[:80]))
            self._receive()
        words = bytes(self._got[:end]).split(b" ")
        del self._got[: end + 2]
        reply = Reply(words)
        place = _BODIES.get(words[0])
        if place is None:
            self._waits -= 1
            return reply
        size = reply.number(place)
        if not 0 <= size <= SIZE_MOST:
            raise _not_understood(b" ".join(words))
        return reply._replace(size=size)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The body of a reply, as it comes."""
        left = size
        while left:
            if not self._got:
                self._receive()
            piece = bytes(self._got[:left])
            del self._got[: len(piece)]
            left -= len(piece)
            yield piece
        while len(self._got) < 2:
            self._receive()
        if self._got[:2] != b"\r\n":
            raise _not_understood(bytes(self._got[:80]))
        del self._got[:2]
        self._waits -= 1

    def _receive(self) -> None:
        try:
            data = self._socket.recv(PIECE_BYTES)
        except (OSError, gevent.Timeout) as error:
            raise _lost(error) from error
        if not data:
            raise ApiError(502, "lost", "The server has closed the connection.")
        self._got += data


def line(*words: object) -> bytes:
    """A command. A server would take the body that follows a longer line for commands."""
    text = " ".join([str(word) for word in words]) + "\r\n"
    if len(text) > COMMAND_MOST:
        raise ApiError(422, "too_long", "The names are too long for one line of the protocol.")
    return text.encode()


def groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Items whose commands are sent together."""
    return (items[begin : begin + TOGETHER] for begin in range(0, len(items), TOGETHER))


def _lost(error: BaseException) -> ApiError:
    if isinstance(error, (TimeoutError, gevent.Timeout)):
        return ApiError(504, "no_answer", "The server did not answer in time.")
    return ApiError(502, "lost", f"The connection to the server was lost: {error}.")


def _not_understood(line: bytes) -> ApiError:
    return ApiError(502, "not_understood", f"The server's reply was not understood: {line!r}.")
