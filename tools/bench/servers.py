"""Starts the servers to compare, each as a process on one core, and stops them.

CPU time and memory are read from /proc.

No process is left running. Each measurement starts a new server. No server receives 2^20 puts,
because beanload would then report a job as seen twice.
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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from testkit import proc

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(filter(None, [os.environ.get("PATH"), "/usr/sbin", "/usr/bin"]))
TIMEOUT_S = 120.0
POLL_S = 0.001
C = "C"
BASE = "base"
# The first and the last core that this process may use; with only one core they are the same.
SERVER_CORE, *_, LOAD_CORE = sorted(os.sched_getaffinity(0)) * 2


class Subject(NamedTuple):
    """A server to measure. label: C for the C server, BASE for another commit."""

    label: str
    command: tuple[str, ...]
    environment: dict[str, str]


class Cpu(NamedTuple):
    """CPU seconds of a process, all its threads together."""

    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.user - before.user, self.system - before.system)


def ours(
    label: str = "ours", command: Sequence[str] = (sys.executable, "-m", "beanstalkd_py")
) -> Subject:
    """The server of this source tree."""
    return Subject(label, tuple(command), _environment(ROOT))


def base(checkout: Path) -> Subject:
    """The server of another checkout, run with the interpreter of its .venv if it has one.

    Raises ValueError if that interpreter does not import beanstalkd_py from the checkout.
    """
    checkout = checkout.resolve()
    python = checkout / ".venv/bin/python"
    command = str(python) if python.exists() else sys.executable
    environment = _environment(checkout)
    where = "import os, beanstalkd_py as found; print(os.path.dirname(found.__file__))"
    found = subprocess.run(
        [command, "-c", where], cwd="/", env=environment, capture_output=True, text=True
    )
    if found.stdout.strip() != str(checkout / "beanstalkd_py"):
        reason = found.stderr.strip() or f"beanstalkd_py is imported from {found.stdout.strip()}"
        raise ValueError(f"{checkout} is not a checkout that can run: {reason}")
    return Subject(BASE, (command, "-m", "beanstalkd_py"), environment)


def _environment(checkout: Path) -> dict[str, str]:
    """Imports come from the checkout, not from an installed package."""
    paths = [checkout]
    if (checkout / "wal/beanstalkd_wal").is_dir():  # older commits keep the package in ./wal itself
        paths.append(checkout / "wal")
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}


def compiled(python: str) -> Subject:
    """The server that is installed for another interpreter; it does not see this source tree."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return Subject("compiled", (os.path.abspath(python), "-m", "beanstalkd_py"), environment)


def c_server() -> Subject | None:
    """Debian's beanstalkd, or None if it is not installed."""
    path = shutil.which("beanstalkd", path=PATH)
    return Subject(C, (path,), dict(os.environ)) if path else None


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Processes started in this context run on that core only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Running:
    """A running server that has answered a command."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def cpu(self) -> Cpu:
        user, system = proc.cpu_ticks(self.process.pid)
        return Cpu(user / proc.TICKS_PER_S, system / proc.TICKS_PER_S)

    def cpu_ns(self) -> int:
        """User and system time together, in ns; `cpu` has a resolution of only 10 ms."""
        return proc.cpu_ns(self.process.pid)

    def resident_bytes(self) -> int:
        return proc.resident_bytes(self.process.pid)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(TIMEOUT_S)


@contextmanager
def scratch(within: Path) -> Iterator[Path]:
    """A directory for a log, on the disk to be measured."""
    with tempfile.TemporaryDirectory(dir=within, prefix="run.") as name:
        yield Path(name)


@contextmanager
def running(subject: Subject, flags: Sequence[str], directory: Path) -> Iterator[Running]:
    """A server, from its first reply on.

    flags: without flags the server runs in memory; with flags it keeps a log in the directory.
    What the server says on stderr is shown only if the measurement fails.
    """
    port = _free_port()
    log = ("-b", str(directory)) if flags else ()
    command = [*subject.command, "-l", "127.0.0.1", "-p", str(port), *log, *flags]
    with tempfile.TemporaryFile() as messages:
        with on_core(SERVER_CORE):
            process = subprocess.Popen(
                command,
                cwd=directory,
                env=subject.environment,
                stdin=subprocess.DEVNULL,
                stderr=messages,
            )
        try:
            server = Running(process, port)
            _wait_for_reply(server)
            yield server
            server.stop()
        except BaseException:
            process.kill()
            process.wait()
            messages.seek(0)
            sys.stderr.write(messages.read().decode(errors="replace"))
            raise
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for_reply(server: Running) -> None:
    """A server may listen before replay has ended, so only a reply shows that it is ready."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with server.connect() as connection:
                connection.sendall(b"list-tube-used\r\n")
                if connection.recv(100):
                    return
        except OSError:
            pass
        if server.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{server.process.args!r} does not answer")
        time.sleep(POLL_S)
