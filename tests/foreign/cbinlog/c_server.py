"""A client of the real beanstalkd on a Unix socket. It pipelines its commands."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import pytest
from testkit.waiting import HANG_S


def need_c_server() -> str:
    for candidate in (shutil.which("beanstalkd"), "/usr/bin/beanstalkd"):
        if (
            candidate
            and os.path.exists(candidate)
            and Path(candidate).read_bytes()[:4] == b"\x7fELF"
        ):
            return candidate
    if os.environ.get("CI") == "true":
        pytest.fail("beanstalkd is not installed")
    pytest.skip("beanstalkd is not installed")


class CServer:
    """Replies are (first line, body). The body is None if the reply has none."""

    def __init__(
        self, process: subprocess.Popen[bytes], connection: socket.socket, said: int
    ) -> None:
        self.process = process
        self._connection = connection
        self._stream = connection.makefile("rb")
        self._said = said

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
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        return os.pread(self._said, 1 << 20, 0).decode()

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
    """A server on this directory; killed at the end, if it still lives."""
    with TemporaryDirectory(prefix="c.") as folder, TemporaryFile() as said:
        path = os.path.join(folder, "socket")
        command = [need_c_server(), "-l", f"unix:{path}", "-b", str(directory), *flags]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            with closing(
                CServer(process, _connect(process, path, said.fileno()), said.fileno())
            ) as server:
                yield server
        finally:
            process.kill()
            process.wait()


def _connect(process: subprocess.Popen[bytes], path: str, said: int) -> socket.socket:
    give_up_at = time.monotonic() + HANG_S
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
            return connection
        except OSError:
            connection.close()
            assert process.poll() is None, os.pread(said, 1 << 20, 0)
            assert time.monotonic() < give_up_at, "the server does not listen"
            time.sleep(0.005)


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
