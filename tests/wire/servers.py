"""Servers to play transcripts to: a new one for each that needs it, else one for many.

Ours takes a third of a second to start, and there are hundreds of transcripts. Those that do not
look at global counters run on a shared server: between two of them all jobs are deleted, all
clients are gone, and the ids of the next begin above a known base.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from judge.cleanup import clear
from judge.cuts import Cut
from judge.daemon import OURS, Daemon
from judge.live_peer import LivePeer
from judge.runner import play
from judge.transcript import Transcript, World

WAITING_AT_ONCE = 6


@dataclass(frozen=True)
class Kind:
    """A way to run a server."""

    name: str
    program: tuple[str, ...] = tuple(OURS)
    unix: bool = False
    logged: bool = False
    is_c: bool = False

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def running(self, options: dict[str, int]) -> Iterator[Daemon]:
        with TemporaryDirectory(prefix="wire.") as folder:
            words = [word for flag, value in options.items() for word in (flag, str(value))]
            if self.logged:
                log = Path(folder, "log")
                log.mkdir()
                words += ["-b", str(log)]
            daemon = Daemon(
                list(self.program), words, Path(folder, "socket") if self.unix else None
            )
            try:
                yield daemon.start()
            finally:
                daemon.close()


@dataclass
class Shared:
    """A server that many transcripts are played to, one after the other."""

    kind: Kind
    options: dict[str, int]
    _context: AbstractContextManager[Daemon] | None = None
    _daemon: Daemon | None = None

    def play(self, transcript: Transcript, cut: Cut) -> None:
        daemon = self._daemon or self._start()
        try:
            base = clear(daemon)
            play(transcript, LivePeer(daemon, World(base, self.kind.is_c, self.kind.logged), cut))
        except BaseException:
            self.close()  # who knows what it is like now
            raise

    def _start(self) -> Daemon:
        self._context = self.kind.running(self.options)
        self._daemon = self._context.__enter__()
        return self._daemon

    def close(self) -> None:
        if self._context is not None:
            self._daemon = None
            self._context.__exit__(None, None, None)
            self._context = None


def play_fresh(kind: Kind, transcript: Transcript, cut: Cut) -> None:
    with kind.running(transcript.options) as daemon:
        play(transcript, LivePeer(daemon, World(0, kind.is_c, kind.logged), cut))


@dataclass
class Background:
    """Transcripts that wait for real time do so side by side, each with its own server; a test only
    asks how its own went.
    """

    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(WAITING_AT_ONCE))
    _futures: dict[tuple[Kind, str], Future[None]] = field(default_factory=dict)

    def outcome(
        self, kind: Kind, transcript: Transcript, cut: Cut, all_that_wait: list[Transcript]
    ) -> None:
        """Waits until the transcript was played, and raises what came of it. The first to ask
        starts all.
        """
        if (kind, str(transcript)) not in self._futures:
            for each in all_that_wait:
                self._futures[kind, str(each)] = self._pool.submit(play_fresh, kind, each, cut)
        self._futures[kind, str(transcript)].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


Play = Callable[[Kind, Transcript, Cut], None]
