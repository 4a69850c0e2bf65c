"""A live daemon and its clients, as seen from outside: sockets, signals, and what /proc says of its
memory, CPU time and descriptors.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from judge.stream import take_reply

ROOT = Path(__file__).resolve().parents[2]
OURS = (sys.executable, "-m", "beanstalkd_py")
PATIENCE_S = 20.0  # for what must happen, however busy the machine is
POLL_S = 0.005
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def wait_until(happens: Callable[[], object], what: str, seconds: float = PATIENCE_S) -> None:
    give_up_at = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < give_up_at, f"in vain: {what}"
        time.sleep(POLL_S)


class Client:
    """A connection. `say` sends, `hear` takes whole replies, `ask` does both."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(PATIENCE_S)
        self._got = b""

    def say(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hear(self, count: int = 1) -> list[bytes]:
        """That many replies; fewer if the connection ends."""
        replies: list[bytes] = []
        while len(replies) < count:
            taken = take_reply(self._got)
            if taken is not None:
                replies.append(taken[0])
                self._got = taken[1]
                continue
            data = self._receive()
            if not data:
                break
            self._got += data
        return replies

    def hear_bytes(self, count: int) -> bytes:
        """So many bytes, whatever they are; fewer if the connection ends."""
        got = bytearray(self._got)
        while len(got) < count and (data := self._receive()):
            got += data
        self._got = bytes(got[count:])
        return bytes(got[:count])

    def ask(self, data: bytes) -> bytes:
        self.say(data)
        return b"".join(self.hear())

    def put(self, body: bytes = b"x") -> int:
        reply = self.ask(b"put 0 0 60 %d\r\n%b\r\n" % (len(body), body))
        word, _, id = reply.partition(b" ")
        assert word == b"INSERTED", reply
        return int(id)

    def stat(self, key: bytes) -> bytes:
        for line in self.ask(b"stats\r\n").split(b"\n"):
            if line.startswith(key + b": "):
                return line.partition(b": ")[2]
        raise KeyError(key)

    def rest(self) -> bytes:
        """All that comes until the connection ends, in whatever way it ends."""
        pieces = [self._got]
        self._got = b""
        while data := self._receive():
            pieces.append(data)
        return b"".join(pieces)

    def _receive(self) -> bytes:
        try:
            return self.socket.recv(1 << 18)
        except ConnectionResetError:
            return b""

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Closes with a reset (TCP)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Daemon:
    """One daemon. `at` is "unix:PATH" or an address whose port the kernel chooses."""

    def __init__(
        self,
        options: Sequence[str],
        at: str,
        descriptors: int | None = None,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = OURS,
        before: Callable[[], None] = lambda: None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.at = at
        self.port = 0
        self._said = tempfile.TemporaryFile()
        self._clients: list[Client] = []

        def prepare() -> None:
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            before()

        listen = ["-l", at] if at.startswith("unix:") else ["-l", at, "-p", "0"]
        self.process = subprocess.Popen(
            [*program, *listen, *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            env=dict(os.environ, **(environ or {})),
            preexec_fn=prepare,
            pass_fds=pass_fds,
        )

    # --- its life

    @property
    def pid(self) -> int:
        return self.process.pid

    def listens(self) -> bool:
        assert self.is_up(), f"ended with {self.process.returncode}: {self.said()!r}"
        if not self.at.startswith("unix:"):
            self.port = listening_port(self.pid)
            return self.port != 0
        try:
            self.client().close()
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True

    def wait(self) -> Daemon:
        """Until it answers."""
        wait_until(self.listens, "the daemon listens")
        client = self.client()
        assert client.ask(b"?\r\n") == b"UNKNOWN_COMMAND\r\n", self.said()
        client.close()
        return self

    def is_up(self) -> bool:
        return self.process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(PATIENCE_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.send_signal(number)
        return self.ended()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self.kill()
        self._said.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """It does not run in here; what clients do meanwhile is there, in that order, when it goes
        on.
        """
        wait_until(lambda: _stat(self.pid)[0] == "S", "the daemon has done what it had to")
        self.send_signal(signal.SIGSTOP)
        wait_until(lambda: _stat(self.pid)[0] == "T", "the daemon stands still")
        try:
            yield
        finally:
            self.send_signal(signal.SIGCONT)

    # --- its clients

    def client(self) -> Client:
        """A new one; closed at the latest when the daemon is."""
        unix = self.at.startswith("unix:")
        connecting = socket.socket(
            socket.AF_UNIX if unix else socket.AF_INET6 if ":" in self.at else socket.AF_INET
        )
        client = Client(connecting)
        self._clients.append(client)
        connecting.connect(self.at.removeprefix("unix:") if unix else (self.at, self.port))
        return client

    # --- what is known of it

    def said(self) -> str:
        """Everything on stdout and stderr."""
        return os.pread(self._said.fileno(), 1 << 20, 0).decode()

    def rss_kb(self) -> int:
        """Memory in use."""
        return int(_status(self.pid, "VmRSS"))

    def faults(self) -> int:
        """Pages of memory that it has been given up to now."""
        return int(_stat(self.pid)[7])

    def peak_kb(self) -> int:
        """The most memory that ever was in use."""
        return int(_status(self.pid, "VmHWM"))

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_s(self) -> float:
        fields = _stat(self.pid)
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def spins(self) -> bool:
        """Whether it computes for most of a second in which nobody asks for anything. Idle, it uses
        a hundredth of that.
        """
        before = self.cpu_s()
        time.sleep(1.0)
        return self.cpu_s() - before > 0.3


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name: the state comes first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _status(pid: int, key: str) -> str:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return line.split()[1]
    raise KeyError(key)


def listening_port(pid: int) -> int:
    """The TCP port that a process listens on; 0 if there is none yet."""
    sockets = set()
    with suppress(FileNotFoundError):  # closed meanwhile, or ended
        for fd in os.listdir(f"/proc/{pid}/fd"):
            sockets.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                    return int(fields[1].rpartition(":")[2], 16)
    return 0


class Start(Protocol):
    def __call__(self, *options: str, **how: Any) -> Daemon: ...
