"""A server process, ours or the C server: started, stopped, killed, started again.

May know: the command line, signals, exit statuses, /proc. Promises: the kernel chooses the port; no
process outlives `close`; what the server said is in the error.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from . import proc
from .client import Client
from .closing import Closing
from .waiting import HANG_S, wait_until

ROOT = Path(__file__).resolve().parents[2]
# Another environment's program, perhaps with options. A release is tried with it.
ANOTHER = tuple(shlex.split(os.environ.get("BEANSTALKD_PROGRAM", "")))
OURS = ANOTHER or (sys.executable, "-m", "beanstalkd_py")
# The script that pip installs.
INSTALLED = ANOTHER or (str(Path(sys.executable).with_name("beanstalkd-py")),)
POLL_S = 0.002
READY_LINE = re.compile(
    r"^[^\n]*: ready: \d+\.\d+\.\d+ \((?:pure|compiled)\) on [^\n]+, "
    r"(memory only|log [^\n]+: \d+ jobs? in \d+ segments?)"
    r"(, at most \d+ bytes of jobs)?, after \d+\.\d s\n",
    re.MULTILINE,
)
# What our server says about a slow disk, which a test cannot exclude.
SLOW_DISK_LINES = re.compile(
    r"^[^\n]*: (?:a \w+ has not returned for|the \w+ took|\d+ more calls? to the disk took) "
    r"[^\n]*\n",
    re.MULTILINE,
)
# Time and level, which each line of our server has.
STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (?:error|warning|info) ", re.MULTILINE)
STOPPING_LINE = re.compile(r"^[^\n]*: stopping: [^\n]*\n", re.MULTILINE)
_MODULES = os.pathsep.join(str(ROOT / folder) for folder in ("", "wal", "tools"))

Address = tuple[str, int] | str


class DidNotStart(Exception):
    """The server ended before it answered, or hung. status: its exit status; None if it hung."""

    def __init__(self, status: int | None, said: str) -> None:
        super().__init__(f"status {status}: {said}")
        self.status = status
        self.said = said


class Daemon(Closing):
    """One server, through any number of starts. Over TCP each start gets another port.

    options: of every start that does not name its own.
    at: an IP address, or "unix:PATH".
    directory: of its log; None for a server without a log.
    program: what to run. prefix: what runs it, such as nsenter.
    environ: beyond the environment of this process.
    before: is called in the new process before the program begins.
    descriptors: how many the process may have.
    """

    def __init__(
        self,
        options: Sequence[str] = (),
        at: str = "127.0.0.1",
        *,
        directory: str | Path | None = None,
        program: Sequence[str] = OURS,
        prefix: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
        pass_fds: Sequence[int] = (),
        descriptors: int | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self.options = tuple(options)
        self.at = at
        self.directory = "" if directory is None else os.path.abspath(directory)
        self.program = tuple(program)
        self.port = 0
        self._prefix = tuple(prefix)
        self._environ = dict(environ or {})
        self._before = before
        self._pass_fds = tuple(pass_fds)
        self._descriptors = descriptors
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()
        self._errors = tempfile.TemporaryFile()
        self._clients: list[Client] = []

    # --- its life

    def start(self, options: Sequence[str] | None = None) -> Daemon:
        """Returns when the server answers. Raises DidNotStart."""
        self.launch(options)
        try:
            return self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def launch(self, options: Sequence[str] | None = None) -> Daemon:
        """Starts the process and returns at once."""
        assert not self.is_up(), "the server is running"
        for file in self._output, self._errors:
            file.seek(0)
            file.truncate()
        self.port = 0
        if self._path and self._process is not None:
            Path(self._path).unlink(missing_ok=True)  # a killed server left its socket
        self._process = subprocess.Popen(
            self._command(self.options if options is None else options),
            cwd=self._cwd,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            preexec_fn=self._prepare if self._prepares else None,
            pass_fds=self._pass_fds,
        )
        return self

    def _command(self, options: Sequence[str]) -> list[str]:
        listen = ("-l", self.at) if self._path else ("-l", self.at, "-p", "0")
        log = ("-b", self.directory) if self.directory else ()
        return [*self._prefix, *self.program, *listen, *log, *options]

    def _environment(self) -> dict[str, str]:
        """Of the modules of this tree, only a program that is this Python sees any."""
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        if self.program[0] == sys.executable:
            environ["PYTHONPATH"] = _MODULES
        return {**environ, **self._environ}

    @property
    def _prepares(self) -> bool:
        """Without it, subprocess starts faster."""
        return self._before is not None or self._descriptors is not None

    def _prepare(self) -> None:
        if self._descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._descriptors,) * 2)
        if self._before is not None:
            self._before()

    def wait_listening(self) -> Daemon:
        """A server listens before it has read its log. Raises DidNotStart."""
        with suppress(TimeoutError):
            wait_until(self.listens, "the server listens", poll_s=POLL_S, error=TimeoutError)
            return self
        raise DidNotStart(None, self.said())

    def listens(self) -> bool:
        """Raises DidNotStart if the server has ended."""
        if not self.is_up():
            raise DidNotStart(self.process.returncode, self.said())
        if not self._path:
            self.port = proc.listening_port(self.pid, "tcp6" if ":" in self.at else "tcp")
            return self.port != 0
        with suppress(ConnectionRefusedError, FileNotFoundError):
            self.connect().close()
            return True
        return False

    def wait_ready(self) -> Daemon:
        """Returns when the server answers. Raises DidNotStart."""
        self.wait_listening()
        answered = b""
        with suppress(OSError), Client(self.connect()) as client:
            answered = client.ask(b"?\r\n")
        if not answered:
            with suppress(subprocess.TimeoutExpired):
                self.wait_end()
            raise DidNotStart(self.process.poll(), self.said())
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was never started"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self.send_signal(signal.SIGTERM)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends the server; its exit status (negative: the signal it died from)."""
        self.send_signal(number)
        return self.wait_end()

    def wait_end(self) -> int:
        """The exit status, when the server has ended."""
        return self.process.wait(HANG_S)

    def kill(self) -> None:
        """SIGKILL. Returns when the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.kill()
        self._output.close()
        self._errors.close()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """The idle server does not run inside the block. It later sees all that clients did."""
        wait_until(lambda: proc.state(self.pid) == proc.SLEEPING, "the server is idle")
        with proc.stopped(self.pid):
            yield

    # --- its clients

    @property
    def _path(self) -> str:
        """Of the unix socket; "" over TCP."""
        return self.at.removeprefix("unix:") if self.at.startswith("unix:") else ""

    @property
    def address(self) -> Address:
        """Where it listens since this start."""
        return self._path or (self.at, self.port)

    def connect(self) -> socket.socket:
        if self._path:
            connection = socket.socket(socket.AF_UNIX)
        else:
            connection = socket.socket(socket.AF_INET6 if ":" in self.at else socket.AF_INET)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(HANG_S)
        try:
            connection.connect(self.address)
        except BaseException:
            connection.close()
            raise
        return connection

    def client(self) -> Client:
        """A new one; it is closed with the daemon at the latest."""
        client = Client(self.connect())
        self._clients.append(client)
        return client

    # --- what is known of it

    def output(self) -> str:
        """stdout since the last start."""
        return _read(self._output)

    def ready_line(self) -> str:
        """The line that says that our server is ready; "" before."""
        found = READY_LINE.search(STAMP.sub("", self.events()))
        return found[0] if found else ""

    def errors(self) -> str:
        """stderr since the last start, without time and level, and without the lines of every run
        (ready, stopping) and of a slow disk.
        """
        lines = READY_LINE.sub("", STAMP.sub("", self.events()), count=1)
        return SLOW_DISK_LINES.sub("", STOPPING_LINE.sub("", lines))

    def events(self) -> str:
        """All of stderr since the last start."""
        return _read(self._errors)

    def slow_disk_lines(self) -> list[str]:
        """What our server has said about a slow disk since the last start."""
        return SLOW_DISK_LINES.findall(STAMP.sub("", self.events()))

    def said(self) -> str:
        """stdout, then stderr."""
        return self.output() + self.errors()

    def ending(self) -> str:
        """How it ended, and what it said: for a failed test."""
        status = self.process.poll()
        state = "it runs" if status is None else f"exit status {status}"
        return f"server {self.pid}: {state}\n{self.said()}"

    def rss_kb(self) -> int:
        """Memory in use."""
        return proc.resident_bytes(self.pid) // 1024

    def peak_kb(self) -> int:
        """The most memory that was ever in use."""
        return proc.peak_bytes(self.pid) // 1024

    def faults(self) -> int:
        """How often the process got a page of memory, since its start."""
        return proc.page_faults(self.pid)

    def descriptors(self) -> int:
        return len(proc.descriptors(self.pid))

    def cpu_s(self) -> float:
        return proc.cpu_s(self.pid)

    def spins(self) -> bool:
        """Whether it computes for 0.3 s while nobody asks anything. An idle server uses a hundredth
        of that in a second, and waits for something after each step. So also on a busy machine,
        where it gets a processor late, the two can be told apart.
        """
        until, cpu_s, waits = time.monotonic() + 1.0, self.cpu_s(), proc.waits(self.pid)
        while time.monotonic() < until or proc.waits(self.pid) < waits + 2:
            if self.cpu_s() - cpu_s > 0.3:
                return True
            time.sleep(0.05)
        return False


def _read(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), 1 << 20, 0).decode(errors="replace")
