"""A server process, ours or the C one: started on a free port or a unix socket, stopped, killed,
started again.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = [sys.executable, "-m", "beanstalkd_py"]
START_SECONDS = 20.0
STOP_SECONDS = 10.0

Address = tuple[str, int] | str


class DidNotStart(RuntimeError):
    """The server ended, or did not listen in time."""


def find_c_server() -> str | None:
    """The path of the C server, the reference, if it is installed."""
    for candidate in (shutil.which("beanstalkd"), "/usr/bin/beanstalkd"):
        if candidate and _is_c(candidate):
            return candidate
    return None


def _is_c(path: str) -> bool:
    with open(path, "rb") as program:
        return program.read(4) == b"\x7fELF"


class Daemon:
    """One server; `address` is where it listens at the moment (a restart over TCP actions it to
    another port).

    environment: beyond that of this process.
    """

    def __init__(
        self,
        program: list[str],
        options: list[str],
        unix: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.program = program
        self.options = options
        self.unix = unix
        self.address: Address = ""
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._said = tempfile.TemporaryFile()

    def start(self) -> Daemon:
        tries = 5
        while True:
            tries -= 1
            try:
                self._start_once()
                return self
            except DidNotStart:
                # somebody else may have taken the port between our look and the server's bind
                if not tries or self.unix or b"already in use" not in self.said():
                    raise

    def start_only(self) -> None:
        """Starts it and returns as soon as it listens; it may still be busy with its log."""
        self._launch()
        self._wait_until(self._listens)

    def _start_once(self) -> None:
        self._launch()
        self._wait_until(self._answers)

    def _launch(self) -> None:
        self.address = str(self.unix) if self.unix else ("127.0.0.1", _free_port())
        listen = (
            ["-l", f"unix:{self.unix}"]
            if self.unix
            else ["-l", "127.0.0.1", "-p", str(self.address[1])]
        )
        if self.unix:
            self.unix.unlink(missing_ok=True)
        self._said.seek(0)
        self._said.truncate()
        self._process = subprocess.Popen(
            [*self.program, *listen, *self.options],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise DidNotStart(
                    f"{self.program} ended with {self.process.returncode}: {self.said()!r}"
                )
            try:
                if ready():
                    return
            except OSError:
                time.sleep(0.005)
        self.kill()
        raise DidNotStart(f"{self.program} did not answer on {self.address}: {self.said()!r}")

    def _listens(self) -> bool:
        self.connect().close()
        return True

    def _answers(self) -> bool:
        """It listens before its log is read, and what comes then is answered afterwards."""
        with self.connect() as connection:
            connection.settimeout(START_SECONDS)
            connection.sendall(b"?\r\n")
            return bool(connection.recv(100))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def said(self) -> bytes:
        """What the server wrote to stdout and stderr."""
        return os.pread(self._said.fileno(), 1 << 20, 0)

    def connect(self) -> socket.socket:
        if isinstance(self.address, str):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(self.address)
            except OSError:
                connection.close()
                raise
            return connection
        connection = socket.create_connection(self.address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def is_up(self) -> bool:
        return self.process.poll() is None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the server and returns its exit status (negative: the signal it died from)."""
        self.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the server did not end at {number.name}: {self.said()!r}"
            ) from None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)

    def close(self) -> None:
        self.kill()
        self._said.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
