"""Servers to play transcripts to: a new server for each that needs one, otherwise a shared server.

Our server takes a tenth of a second to start, and there are hundreds of transcripts. Transcripts
that do not read global counters use a shared server. Between two transcripts all jobs are deleted,
all clients are closed, and the ids of the next transcript start above a known base.
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
from judge.live_peer import LivePeer
from judge.runner import play
from judge.transcript import Transcript, World
from testkit.daemon import OURS, Daemon

PARALLEL = 6


@dataclass(frozen=True)
class Kind:
    """A kind of server: its program and how it runs."""

    name: str
    program: tuple[str, ...] = OURS
    unix: bool = False
    logged: bool = False
    is_c: bool = False

    def __str__(self) -> str:
        return self.name

    @contextmanager
    def running(self, options: dict[str, int]) -> Iterator[Daemon]:
        with TemporaryDirectory(prefix="wire.") as folder:
            words = [word for flag, value in options.items() for word in (flag, str(value))]
            log = Path(folder, "log") if self.logged else None
            if log is not None:
                log.mkdir()
            at = f"unix:{folder}/socket" if self.unix else "127.0.0.1"
            with Daemon(words, at, directory=log, program=self.program) as daemon:
                yield daemon.start()


@dataclass
class Shared:
    """A server for many transcripts, one after the other."""

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
            self.close()  # its state is unknown now
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
    """Plays transcripts that wait for real time in parallel, each with its own server.

    A test only collects the outcome of its own transcript.
    """

    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(PARALLEL))
    _futures: dict[tuple[Kind, str], Future[None]] = field(default_factory=dict)

    def outcome(
        self, kind: Kind, transcript: Transcript, cut: Cut, all_that_wait: list[Transcript]
    ) -> None:
        """Waits for the transcript, and raises its error.

        The first call starts all transcripts.
        """
        if (kind, str(transcript)) not in self._futures:
            for each in all_that_wait:
                self._futures[kind, str(each)] = self._pool.submit(play_fresh, kind, each, cut)
        self._futures[kind, str(transcript)].result()

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


Play = Callable[[Kind, Transcript, Cut], None]
