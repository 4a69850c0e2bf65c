"""Checks each row of the table of differences against both servers.

Each server must behave as the row says, and the two must differ. A row that no longer holds raises
Stale.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

from testkit.closing import Closing
from testkit.daemon import Daemon

from .cleanup import clear
from .clock import SECOND, Clock
from .cuts import WHOLE
from .difference import Difference
from .differences import shows
from .full_disk import PROBES
from .live_peer import LiveConn, LivePeer
from .runner import Mismatch, play
from .server_pair import ServerPair
from .transcript import Transcript, World, parse

_ONLY = re.compile(r"(ours|c) +(.*)")
_ITERATIONS = 3


class Stale(AssertionError):
    """A row of the table does not hold (any more)."""


class ImpatientConn(LiveConn):
    """Reads only what the server has sent once it has answered another client several times. The
    C server has no reply left then, because it waits for nothing.
    """

    def __init__(self, peer: ProbePeer) -> None:
        super().__init__(peer.daemon, WHOLE, 0.0)
        self._peer = peer

    def read(self, count: int) -> list[bytes]:
        self._peer.wake()
        return super().read(count)

    def read_to_eof(self) -> list[bytes]:
        self._peer.wake()
        return super().read_to_eof()


class ProbePeer(LivePeer):
    """A server that reads the clock of the judge.

    patient: whether to wait for replies that are late, as a slow machine makes them.
    """

    def __init__(self, daemon: Daemon, world: World, clock: Clock, patient: bool) -> None:
        super().__init__(daemon, world, WHOLE)
        self._clock = clock
        self._patient = patient

    def _connect(self) -> LiveConn:
        return super()._connect() if self._patient else ImpatientConn(self)

    def sync(self, idle: LiveConn | None) -> None:
        """Uses no client: a command would make the C server plan its deadlines again."""
        self.wake()

    def advance(self, seconds: float) -> None:
        self._clock.set(self._clock.now + round(seconds * SECOND))
        self.wake()

    def set_wall_clock(self, seconds: float) -> None:
        self._clock.set_wall(round(seconds))
        self.wake()

    def wake(self) -> None:
        """Makes the server read its clock.

        It sleeps by the time of the kernel, so bytes from a client have to wake it.
        """
        observer = LiveConn(self.daemon, WHOLE)
        for _ in range(_ITERATIONS):
            observer.send(b"?\r\n")
            observer.read(1)
        observer.close()


def transcript(row: Difference, server: str) -> Transcript:
    """The transcript of the row for this server, `ours` or `c`."""
    lines = []
    for line in map(str.strip, dedent(row.probe).splitlines()):
        only = _ONLY.fullmatch(line)
        if only is None or only[1] == server:
            lines.append(only[2] if only else line)
    (parsed,) = parse(
        "\n".join([f"=== {row.name}, {server}", *filter(None, lines)]), Path(row.name)
    )
    return parsed


class Prober(Closing):
    """Checks rows.

    Rows that need no log share two servers, whose clock is never reset.
    """

    def __init__(self, pair: ServerPair) -> None:
        self.patient = True  # with replies in a transcript that must match
        self._clock = Clock()
        self._bench = replace(pair, clock=self._clock)
        self._shared: dict[str, Daemon] = {}

    def check(self, row: Difference) -> None:
        """Raises Stale."""
        if not row.probe:
            for server in "ours", "c":
                if not PROBES[row.name](self._bench, server):
                    raise Stale(f"{row.name}: {server} does not behave as the table says")
            return
        self._expect(row, "ours", "ours")
        if shows(row, self._bench.c_version):
            self._expect(row, "c", "c")
            if not self._mismatch(row, "c", "ours", patient=False):
                raise Stale(f"{row.name}: the C server does not differ")
        else:
            self._expect(row, "c", "ours")

    def _expect(self, row: Difference, server: str, text: str) -> None:
        if mismatch := self._mismatch(row, server, text, self.patient):
            raise Stale(f"{row.name}: the transcript of {text}, played to {server}: {mismatch}")

    def _mismatch(self, row: Difference, server: str, text: str, patient: bool) -> str:
        """Plays the transcript of `text` to `server`. Returns what does not match."""
        with ExitStack() as stack:
            if row.logged or row.options or row.breaks_c_server:
                daemon, base = stack.enter_context(self._fresh(row, server)), 0
            else:
                daemon = self._shared.get(server) or self._start(server, [])
                base = clear(daemon)
                self._shared[server] = daemon
            try:
                world = World(base, server == "c", row.logged)
                play(transcript(row, text), ProbePeer(daemon, world, self._clock, patient))
            except Mismatch as mismatch:
                return str(mismatch)
        return ""

    @contextmanager
    def _fresh(self, row: Difference, server: str) -> Iterator[Daemon]:
        with tempfile.TemporaryDirectory(prefix="judge.") as folder:
            daemon = self._start(server, [*row.options, *(["-b", folder] if row.logged else [])])
            try:
                yield daemon
            finally:
                daemon.close()

    def _start(self, server: str, options: list[str]) -> Daemon:
        program, environ = self._bench.program(server), self._clock.environment
        return Daemon(options, program=program, environ=environ).start()

    def close(self) -> None:
        for daemon in self._shared.values():
            daemon.close()
        self._clock.close()
