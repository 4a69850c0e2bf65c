"""Each row of the table of differences, shown: what it says of either server is what that server
says, and the other does not.

May know: how transcripts are played. Promises: a row that does not show any more raises Stale.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from types import TracebackType

from .bench import Bench
from .clock import SECOND, Clock
from .cuts import WHOLE
from .daemon import Daemon
from .differences import Difference, shows
from .full_disk import PROBES
from .janitor import clear
from .live_peer import LiveConn, LivePeer
from .runner import Mismatch, play
from .transcript import Transcript, World, parse

_ONLY = re.compile(r"(ours|c) +(.*)")
_TURNS = 3
IMPATIENT_S = 0.5  # half of what is played must not match


class Stale(AssertionError):
    """The table says what is not so (any more)."""


class ProbePeer(LivePeer):
    """A server whose time is in the judge's hand."""

    def __init__(self, daemon: Daemon, world: World, clock: Clock) -> None:
        super().__init__(daemon, world, WHOLE, IMPATIENT_S)
        self._clock = clock

    def sync(self, idle: LiveConn | None) -> None:
        """Without a word from the clients: what they say makes the C server plan anew what is due
        for them.
        """
        self._look()

    def advance(self, seconds: float) -> None:
        self._clock.set(self._clock.now + round(seconds * SECOND))
        self._look()

    def set_wall_clock(self, seconds: float) -> None:
        self._clock.set_wall(round(seconds))
        self._look()

    def _look(self) -> None:
        """The server sleeps by the kernel's time: what comes from a client makes it look at its
        clock.
        """
        witness = LiveConn(self.daemon, WHOLE)
        for _ in range(_TURNS):
            witness.send(b"?\r\n")
            witness.read(1)
        witness.close()


def transcript(row: Difference, server: str) -> Transcript:
    """What the row says of this server, `ours` or `c`."""
    lines = []
    for line in map(str.strip, dedent(row.probe).splitlines()):
        only = _ONLY.fullmatch(line)
        if only is None or only[1] == server:
            lines.append(only[2] if only else line)
    (parsed,) = parse(
        "\n".join([f"=== {row.name}, {server}", *filter(None, lines)]), Path(row.name)
    )
    return parsed


class Prober:
    """Shows rows. Those that need no log share their servers, whose clock only goes on."""

    def __init__(self, bench: Bench) -> None:
        self._clock = Clock()
        self._bench = replace(bench, clock=self._clock)
        self._shared: dict[str, Daemon] = {}

    def check(self, row: Difference) -> None:
        """Raises Stale."""
        if not row.probe:
            for server in "ours", "c":
                if not PROBES[row.name](self._bench, server):
                    raise Stale(f"{row.name}: not what the table has for {server}")
            return
        self._expect(row, "ours", "ours")
        if shows(row, self._bench.c_version):
            self._expect(row, "c", "c")
            if not self._says(row, "c", "ours"):
                raise Stale(f"{row.name}: the C server says what ours says")
        else:
            self._expect(row, "c", "ours")

    def _expect(self, row: Difference, server: str, text: str) -> None:
        if mismatch := self._says(row, server, text):
            raise Stale(f"{row.name}, as the table has it for {text}, on {server}: {mismatch}")

    def _says(self, row: Difference, server: str, text: str) -> str:
        """Plays what the row says of `text` to `server`. Returns what does not match."""
        with ExitStack() as stack:
            if row.logged or row.options or row.spoils:
                daemon, base = stack.enter_context(self._fresh(row, server)), 0
            else:
                daemon = self._shared.get(server) or self._start(server, [])
                base = clear(daemon)
                self._shared[server] = daemon
            try:
                play(
                    transcript(row, text),
                    ProbePeer(daemon, World(base, server == "c", row.logged), self._clock),
                )
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
        return Daemon(
            self._bench.program(server), options, environment=self._clock.environment
        ).start()

    def close(self) -> None:
        for daemon in self._shared.values():
            daemon.close()
        self._clock.close()

    def __enter__(self) -> Prober:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
