"""A life: one directory from its first start to its clean end, killed again and again. All about it
but the timing follows from its seed.

May know: everything here. Promises: a Fault as soon as anything is wrong. A life begins empty, or
with the binlog of a C server (if there is one to make it), whose take-over is killed at each of its
stages.
"""

from __future__ import annotations

from collections.abc import Callable

from testkit.daemon import Daemon
from testkit.waiting import wait_until

from . import cserver
from .atrest import check_at_rest, verify
from .conversation import Conversation, batches
from .directory import segments
from .mix import Mix
from .moments import AT_START, TAKING_OVER, UNDER_LOAD, End, after, at, compacting, stopping
from .rounds import MODES, SEGMENT_BYTES, Rounds
from .world import Fault

ROUNDS = 20
REST_EVERY = 5  # rounds
DEFAULT_SEGMENT_BYTES = 10 << 20
OLD_JOBS = 4000  # of a C server: some ten files
SKIPS = {
    "import: reading": 30,
    "import: writing": 2,
    "import: moving": 4,
}  # signs that are let pass, fewer than so many


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
        mix = Mix(jobs=3000, usual=6000, largest=65535) if self._large else Mix()
        self.rounds = Rounds(daemon, seed, mix, connections, say)
        self._daemon = daemon
        self._chance = self.rounds.chance
        self._c_server = c_server if seed % 2 else None

    def run(self, rounds: int = ROUNDS, goes_on: Callable[[], bool] = lambda: True) -> None:
        """Raises Fault."""
        if self._c_server is not None:
            self._take_over(self._c_server)
        moments = self._deck()
        for number in range(1, rounds + 1):
            if not goes_on():
                break
            self.rounds.round(self._options(), *moments[number % len(moments)]())
            if number % REST_EVERY == 0:
                check_at_rest(
                    self._daemon, self.rounds.world, self._segment_bytes(), self.rounds.said
                )
                verify(self._daemon)
        self._end()

    def _deck(self) -> list[Callable[[], tuple[End, str]]]:
        """Ends, and starts that are killed as well, each as often as the others."""
        chance = self._chance

        def under_load(name: str) -> Callable[[], tuple[End, str]]:
            return lambda: (at(name, chance), "")

        def at_start(name: str) -> Callable[[], tuple[End, str]]:
            return lambda: (after(0.05 + 0.35 * chance.random()), name)

        deck = [*map(under_load, UNDER_LOAD), *map(at_start, AT_START)]
        deck.append(lambda: (compacting(chance), ""))
        deck.append(lambda: (stopping(chance), ""))
        deck.append(lambda: (after(0.05 + 0.35 * chance.random()), ""))
        chance.shuffle(deck)
        return deck

    def _options(self) -> tuple[str, ...]:
        segment = () if self._large else ("-s", str(self._chance.choice(SEGMENT_BYTES)))
        return (*segment, *self._chance.choice(MODES))

    def _segment_bytes(self) -> int:
        """As the server has it now."""
        options = self._daemon.options
        return int(options[1]) if options[:1] == ("-s",) else DEFAULT_SEGMENT_BYTES

    def _take_over(self, program: str) -> None:
        rounds = self.rounds
        cserver.leave_jobs(program, self._daemon.directory, rounds.world, OLD_JOBS)
        self._daemon.options = self._options()
        for name in TAKING_OVER:
            rounds.kill_at_start(name, int(self._chance.random() * SKIPS.get(name, 1)))
        rounds.start(self._daemon.options)
        rounds.audit()

    def _end(self) -> None:
        """Killed at rest, then a clean stop, then without a job: nothing is left of them but that
        their ids are used.
        """
        daemon = self._daemon
        self.rounds.kill_at_rest()
        verify(daemon)
        if status := daemon.stop():
            raise Fault(f"status {status} at the end: {daemon.errors()}")
        verify(daemon)
        self.rounds.start(daemon.options)
        self.rounds.audit()
        self._delete_all()
        check_at_rest(daemon, self.rounds.world, self._segment_bytes(), self.rounds.said)
        daemon.stop()
        self.rounds.start(daemon.options)
        wait_until(lambda: len(segments(daemon.directory)) == 1, lambda: segments(daemon.directory))
        daemon.stop()
        verify(daemon)
        self.rounds.start(daemon.options)
        self.rounds.audit()

    def _delete_all(self) -> None:
        """And no pause goes on: no record is needed any more."""
        world = self.rounds.world
        with Conversation(self._daemon.connect()) as server:
            server.ask(*[b"pause-tube %b 0" % tube for tube in world.dens])
            for batch in batches(b"delete %d" % id for id in world.jobs):
                if (said := set(server.say(*batch))) != {"DELETED"}:
                    raise Fault(f"{said} to delete")
        world.jobs.clear()
        world.dens.clear()
