"""A life: one directory from its first start to its clean end, with many kills.

The seed determines everything except the timing. A life starts empty, or with a binlog of the C
server, whose take-over is killed at each stage.
"""

from __future__ import annotations

from collections.abc import Callable

from testkit.daemon import Daemon
from testkit.waiting import wait_until

from . import c_server
from .conversation import Conversation, batches
from .directory import segments
from .fault import Fault
from .idle_checks import check_idle, verify
from .kill_points import (
    AT_START,
    TAKING_OVER,
    UNDER_LOAD,
    KillPoint,
    after,
    at,
    compacting,
    stopping,
)
from .mix import Mix
from .rounds import MODES, SEGMENT_BYTES, Rounds

ROUNDS = 20
REST_EVERY = 5  # rounds
DEFAULT_SEGMENT_BYTES = 10 << 20
OLD_JOBS = 4000  # of the C server: about ten files
IGNORED_EVENTS = {
    "import: reading": 30,
    "import: writing": 2,
    "import: moving": 4,
}  # ignored events: less than this number


class Life:
    """c_server: its path, or None."""

    def __init__(
        self,
        daemon: Daemon,
        seed: int,
        c_server: str | None,
        connections: int = 50,
        say: Callable[[str], None] = print,
    ) -> None:
        self._large = seed % 4 == 0  # segments of the default size
        mix = Mix(jobs=3000, typical=6000, largest=65535) if self._large else Mix()
        self.rounds = Rounds(daemon, seed, mix, connections, say)
        self._daemon = daemon
        self._rng = self.rounds.rng
        self._c_server = c_server if seed % 2 else None

    def run(self, rounds: int = ROUNDS, keep_going: Callable[[], bool] = lambda: True) -> None:
        """Raises Fault."""
        if self._c_server is not None:
            self._take_over(self._c_server)
        kill_points = self._all_kill_points()
        for number in range(1, rounds + 1):
            if not keep_going():
                break
            self.rounds.round(self._options(), *kill_points[number % len(kill_points)]())
            if number % REST_EVERY == 0:
                check_idle(
                    self._daemon, self.rounds.knowledge, self._segment_bytes(), self.rounds.messages
                )
                verify(self._daemon)
        self._end()

    def _all_kill_points(self) -> list[Callable[[], tuple[KillPoint, str]]]:
        """All kill points, each once, in random order."""
        rng = self._rng

        def under_load(name: str) -> Callable[[], tuple[KillPoint, str]]:
            return lambda: (at(name, rng), "")

        def at_start(name: str) -> Callable[[], tuple[KillPoint, str]]:
            return lambda: (after(0.05 + 0.35 * rng.random()), name)

        points = [*map(under_load, UNDER_LOAD), *map(at_start, AT_START)]
        points.append(lambda: (compacting(rng), ""))
        points.append(lambda: (stopping(rng), ""))
        points.append(lambda: (after(0.05 + 0.35 * rng.random()), ""))
        rng.shuffle(points)
        return points

    def _options(self) -> tuple[str, ...]:
        segment = () if self._large else ("-s", str(self._rng.choice(SEGMENT_BYTES)))
        return (*segment, *self._rng.choice(MODES))

    def _segment_bytes(self) -> int:
        """The current segment size of the server."""
        options = self._daemon.options
        return int(options[1]) if options[:1] == ("-s",) else DEFAULT_SEGMENT_BYTES

    def _take_over(self, program: str) -> None:
        rounds = self.rounds
        c_server.leave_jobs(program, self._daemon.directory, rounds.knowledge, OLD_JOBS)
        self._daemon.options = self._options()
        for name in TAKING_OVER:
            rounds.kill_at_start(name, int(self._rng.random() * IGNORED_EVENTS.get(name, 1)))
        rounds.start(self._daemon.options)
        rounds.audit()

    def _end(self) -> None:
        """Kills the idle server, stops it, and deletes all jobs.

        Afterwards only the next id remains.
        """
        daemon = self._daemon
        self.rounds.kill_at_rest()
        verify(daemon)
        if status := daemon.stop():
            raise Fault(f"exit status {status}: {daemon.errors()}")
        verify(daemon)
        self.rounds.start(daemon.options)
        self.rounds.audit()
        self._delete_all()
        check_idle(daemon, self.rounds.knowledge, self._segment_bytes(), self.rounds.messages)
        daemon.stop()
        self.rounds.start(daemon.options)
        wait_until(lambda: len(segments(daemon.directory)) == 1, lambda: segments(daemon.directory))
        daemon.stop()
        verify(daemon)
        self.rounds.start(daemon.options)
        self.rounds.audit()

    def _delete_all(self) -> None:
        """Also ends all pauses, so no record is needed any more."""
        knowledge = self.rounds.knowledge
        with Conversation(self._daemon.connect()) as server:
            server.ask(*[b"pause-tube %b 0" % tube for tube in knowledge.private_tubes])
            for batch in batches(b"delete %d" % id for id in knowledge.jobs):
                if (replies := set(server.say(*batch))) != {"DELETED"}:
                    raise Fault(f"{replies} to delete")
        knowledge.clear()
