"""The servers that are compared, as processes: started on one core, watched from outside, stopped.

May know: command lines, /proc, signals. Promises: no process is left behind. Each measurement has a
server of its own, so none finds what another has left; and no server sees 2^20 puts, behind which
beanload takes a job for one it has seen.
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

ROOT = Path(__file__).resolve().parents[2]
PATH = os.pathsep.join(filter(None, [os.environ.get("PATH"), "/usr/sbin", "/usr/bin"]))
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE_S = 120.0
LOOK_AGAIN_S = 0.001
C = "C"
# The first and the last that we may use; the same where there is but one.
SERVER_CORE, *_, LOAD_CORE = sorted(os.sched_getaffinity(0)) * 2


class Subject(NamedTuple):
    """What is measured. label: C for the one that all others are compared with."""

    label: str
    command: tuple[str, ...]
    environment: dict[str, str]


class Cpu(NamedTuple):
    """Seconds of a process, all its threads."""

    user: float
    system: float

    def since(self, before: Cpu) -> Cpu:
        return Cpu(self.user - before.user, self.system - before.system)


def ours(
    label: str = "ours", command: Sequence[str] = (sys.executable, "-m", "beanstalkd_py")
) -> Subject:
    """The tree that this is in."""
    return Subject(label, tuple(command), {**os.environ, "PYTHONPATH": str(ROOT)})


def compiled(python: str) -> Subject:
    """What is installed for another interpreter; of this tree it sees nothing."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return Subject("compiled", (os.path.abspath(python), "-m", "beanstalkd_py"), environment)


def c_server() -> Subject | None:
    """Debian's beanstalkd, if it is there."""
    path = shutil.which("beanstalkd", path=PATH)
    return Subject(C, (path,), dict(os.environ)) if path else None


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile stays there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Running:
    """A server that answers."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def cpu(self) -> Cpu:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return Cpu(int(fields[11]) / TICKS, int(fields[12]) / TICKS)

    def cpu_ns(self) -> int:
        """User and system together: finer than `cpu`, whose parts are told in hundredths of a
        second.
        """
        return sum(
            int(path.read_text().split()[0])
            for path in Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        )

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)


@contextmanager
def scratch(within: Path) -> Iterator[Path]:
    """A directory for a log, on the disk that is measured."""
    with tempfile.TemporaryDirectory(dir=within, prefix="run.") as name:
        yield Path(name)


@contextmanager
def running(subject: Subject, flags: Sequence[str], directory: Path) -> Iterator[Running]:
    """The server from its first answer on. flags: none means in memory; others get a log in the
    directory.
    """
    port = _free_port()
    log = ("-b", str(directory)) if flags else ()
    command = [*subject.command, "-l", "127.0.0.1", "-p", str(port), *log, *flags]
    with on_core(SERVER_CORE):
        process = subprocess.Popen(
            command, cwd=directory, env=subject.environment, stdin=subprocess.DEVNULL
        )
    try:
        found = Running(process, port)
        _await_answer(found)
        yield found
        found.stop()
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(server: Running) -> None:
    """A server may listen before it has read its log: only a reply shows that it serves."""
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            with server.connect() as connection:
                connection.sendall(b"list-tube-used\r\n")
                if connection.recv(100):
                    return
        except OSError:
            pass
        if server.process.poll() is not None or time.monotonic() > give_up_at:
            raise RuntimeError(f"{server.process.args!r} does not answer")
        time.sleep(LOOK_AGAIN_S)
