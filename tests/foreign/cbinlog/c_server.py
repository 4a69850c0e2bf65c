"""A client of the real beanstalkd on a Unix socket. It pipelines its commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from testkit.daemon import Daemon

from tests.wire.reference import need_c_server


class CServer:
    """Replies are (first line, body). The body is None if the reply has none."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._connection = daemon.connect()
        self._stream = self._connection.makefile("rb")

    def ask(self, *commands: bytes) -> list[tuple[bytes, bytes | None]]:
        """In parts that fit the sockets' buffers, as nobody reads while we write."""
        replies: list[tuple[bytes, bytes | None]] = []
        for start in range(0, len(commands), 50):
            part = commands[start : start + 50]
            self._connection.sendall(b"".join(command + b"\r\n" for command in part))
            replies += [self._take() for _ in part]
        return replies

    def one(self, command: bytes) -> bytes:
        ((line, _),) = self.ask(command)
        return line

    def stats(self, *commands: bytes) -> list[dict[str, str] | None]:
        """For each: its YAML, or None if there is no such thing."""
        return [
            None
            if body is None
            else dict(line.split(": ") for line in body.decode().splitlines()[1:])
            for _, body in self.ask(*commands)
        ]

    def close(self) -> None:
        self._stream.close()
        self._connection.close()

    def kill(self) -> None:
        self._daemon.kill()

    def said(self) -> str:
        return self._daemon.said()

    def _take(self) -> tuple[bytes, bytes | None]:
        line = self._stream.readline()
        assert line.endswith(b"\r\n"), (line, self.said())
        words = line.split()
        if words[0] in (b"OK", b"FOUND", b"RESERVED"):
            body = self._stream.read(int(words[-1]) + 2)
            return line.rstrip(), body[:-2] if body.endswith(b"\r\n") else None
        return line.rstrip(), None


@contextmanager
def running(directory: Path, *flags: str) -> Iterator[CServer]:
    """A server on this directory; it is killed at the end if it still runs."""
    with TemporaryDirectory(prefix="c.") as folder:
        at, program = f"unix:{folder}/socket", (need_c_server(),)
        with Daemon(flags, at, directory=directory, program=program) as daemon:
            with closing(CServer(daemon.start())) as server:
                yield server


def copy_of(directory: Path, to: Path) -> Path:
    """As an operator would copy a directory to another server."""
    to.mkdir()
    for path in sorted(directory.glob("binlog.*")):
        (to / path.name).write_bytes(path.read_bytes())
    return to


def put(pri: int, delay: int, ttr: int, body: bytes) -> bytes:
    return b"put %d %d %d %d\r\n%b" % (pri, delay, ttr, len(body), body)


def inserted(replies: Sequence[tuple[bytes, bytes | None]]) -> list[int]:
    assert all(line.startswith(b"INSERTED ") for line, _ in replies), replies
    return [int(line.split()[1]) for line, _ in replies]
