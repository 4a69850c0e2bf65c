"""The server as a process: started, asked whether it serves, stopped, killed. It listens on a port
of the kernel's choice.

May know: the command line, signals, exit statuses. Promises: no process is left behind; what the
server said is in the error.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = (str(Path(sys.executable).with_name("beanstalkd-py")),)
PATIENCE_S = 30.0
LOOK_AGAIN_S = 0.002


class DidNotServe(Exception):
    """The server ended (or hung) before it answered. `status` is its exit status, None if it hung."""

    def __init__(self, status: int | None, said: str) -> None:
        super().__init__(f"status {status}: {said}")
        self.status = status
        self.said = said


class Daemon:
    """One server on one directory, through any number of starts.

    directory: of its log; None for a server without. options: of every start. prefix: a program to
    run it by, such as nsenter. program: what to run instead of the script that is installed beside
    this Python. Only Python itself is shown the modules of this tree.
    """

    def __init__(
        self,
        directory: str | Path | None,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        program: Sequence[str] = INSTALLED,
    ) -> None:
        self.directory = "" if directory is None else os.path.abspath(directory)
        self.options = tuple(options)
        self.port = 0
        self._prefix = tuple(prefix)
        self.program = program[0]
        self._program = tuple(program)
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()
        self._errors = tempfile.TemporaryFile()

    def __enter__(self) -> Daemon:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- life

    def start(self, options: Sequence[str] | None = None) -> Daemon:
        """Returns when the server answers. Raises DidNotServe."""
        self.launch(options)
        try:
            self.await_service()
        except BaseException:
            self.kill()
            raise
        return self

    def launch(self, options: Sequence[str] | None = None) -> None:
        """Starts the process and returns at once."""
        assert not self.is_up(), "it runs already"
        for said in self._output, self._errors:
            said.seek(0)
            said.truncate()
        # -V: it says which port it got.
        listen = (
            "-V",
            "-l",
            "127.0.0.1",
            "-p",
            "0",
            *(("-b", self.directory) if self.directory else ()),
        )
        self._process = subprocess.Popen(
            [
                *self._prefix,
                *self._program,
                *listen,
                *(self.options if options is None else options),
            ],
            cwd=ROOT,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
        )

    def _environ(self) -> dict[str, str]:
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return (
            {**environ, "PYTHONPATH": str(ROOT / "tools")}
            if self._program[0] == sys.executable
            else environ
        )

    def await_service(self) -> None:
        """It listens before it has read its log, and answers afterwards."""
        give_up_at = time.monotonic() + PATIENCE_S
        while (bound := re.search(rb"^bind .*:(\d+)\n", _said(self._output), re.MULTILINE)) is None:
            self._check(time.monotonic() < give_up_at)
            time.sleep(LOOK_AGAIN_S)
        self.port = int(bound[1])
        try:
            with self.connect() as connection:
                connection.sendall(b"list-tube-used\r\n")
                answered = connection.recv(100)
        except OSError:
            answered = b""
        if not answered:
            self._check(self._ends())
            self._check(False)

    def _check(self, hopeful: bool) -> None:
        if not hopeful or not self.is_up():
            raise DidNotServe(self.process.poll(), self.errors())

    def _ends(self) -> bool:
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)

    def stop(self) -> int:
        """SIGTERM. Returns the exit status."""
        self.terminate()
        return self.wait()

    def terminate(self) -> None:
        """SIGTERM, and no waiting."""
        self.process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        return self.process.wait(PATIENCE_S)

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        self.kill()
        self._output.close()
        self._errors.close()

    # --- talk

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "it was never started"
        return self._process

    def said(self) -> str:
        """What it wrote to stdout since the last start."""
        return _said(self._output).decode(errors="replace")

    def errors(self) -> str:
        """What it wrote to stderr since the last start."""
        return _said(self._errors).decode(errors="replace")

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection


def _said(file: IO[bytes]) -> bytes:
    return os.pread(file.fileno(), 1 << 20, 0)
