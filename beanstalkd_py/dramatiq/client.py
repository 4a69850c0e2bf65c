"""greenstalk's client with the extension commands that the broker needs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import greenstalk
from dramatiq.errors import ConnectionClosed, ConnectionFailed

Address = tuple[str, int] | str

NEEDED: Final = ("move-job", "put-in-tube", "reserve-batch", "set-tube", "truncate")
MOST_PER_BATCH: Final = 500
# A server that does not answer for so long is treated as gone. A slow disk may take seconds.
ANSWER_S: Final = 60.0


class Client(greenstalk.Client[bytes]):
    """One connection. It is not thread-safe."""

    def __init__(self, address: Address) -> None:
        """Raises ConnectionFailed, also if the server lacks commands."""
        try:
            super().__init__(_connect(address), encoding=None)
        except OSError as error:
            raise ConnectionFailed(f"no connection to {_name(address)}: {error}") from error
        with self.in_step():
            missing = self._missing()
        if missing:
            self.close()
            raise ConnectionFailed(
                f"the server at {_name(address)} has no {', '.join(missing)}: "
                "the broker needs beanstalkd-py, or a newer version of it"
            )

    def _missing(self) -> list[str]:
        """The needed commands that the server does not have."""
        try:
            size = self._int_cmd(b"capabilities", b"OK")
        except greenstalk.UnknownCommandError:  # the C server
            return list(NEEDED)
        lines = self._read_chunk(size).decode().split("\n")
        return [name for name in NEEDED if f"- {name}" not in lines]

    @contextmanager
    def in_step(self) -> Iterator[None]:
        """Commands are sent inside. The connection is closed when a reply is missing or was not
        read, because the next reply would be taken for it. Raises ConnectionClosed.
        """
        try:
            yield
        except greenstalk.Error:  # a whole reply
            raise
        except (OSError, AssertionError, ValueError) as error:  # greenstalk asserts whole lines
            self.close()
            raise ConnectionClosed(f"the connection was lost: {error!r}") from error
        except BaseException:  # dramatiq raises its time limit anywhere in a worker's thread
            self.close()
            raise

    def put_in(self, tube: str, body: bytes, pri: int, delay_s: int, ttr_s: int) -> int:
        line = f"put-in-tube {tube} {pri} {delay_s} {ttr_s} {len(body)}\r\n"
        return self._int_cmd(line.encode() + body, b"INSERTED")

    def reserve_batch(self, most: int, timeout_s: int) -> list[greenstalk.Job[bytes]]:
        """Empty after the timeout."""
        line = b"reserve-batch %d %d" % (most, timeout_s)
        try:
            count = self._int_cmd(line, b"RESERVED_BATCH")
        except greenstalk.TimedOutError:
            return []
        heads = (self._reader.readline().split() for _ in range(count))
        return [greenstalk.Job(int(id), self._read_chunk(int(size))) for _, id, size in heads]

    def move_job(self, id: int, tube: str) -> None:
        self._send_cmd(f"move-job {id} {tube}".encode(), b"MOVED")

    def set_tube(self, tube: str, **settings: int | str) -> None:
        pairs = (f"{key.replace('_', '-')}={value}" for key, value in settings.items())
        self._send_cmd(" ".join(["set-tube", tube, *pairs]).encode(), b"TUBE_SET")

    def truncate(self, tube: str) -> int:
        """The number of deleted jobs."""
        try:
            return self._int_cmd(f"truncate {tube}".encode(), b"TRUNCATED")
        except greenstalk.NotFoundError:  # there is no such tube
            return 0

    def unfinished(self, tube: str) -> int:
        """The jobs of the tube that are neither done nor buried."""
        try:
            stats = self.stats_tube(tube)
        except greenstalk.NotFoundError:
            return 0
        return (
            stats["current-jobs-ready"]
            + stats["current-jobs-reserved"]
            + stats["current-jobs-delayed"]
        )


def _connect(address: Address) -> socket.socket:
    if not isinstance(address, str):
        connection = socket.create_connection(address, timeout=ANSWER_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_S)
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def _name(address: Address) -> str:
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"
