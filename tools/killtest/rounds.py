"""Rounds of load and SIGKILL on one directory.

May know: everything here. Promises: each round ends with an audit; a Fault names seed and round.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType

from testkit.daemon import Daemon, DidNotStart

from .atrest import Said
from .audit import Audit
from .conversation import Closed, Conversation
from .load import Load
from .mix import Mix
from .moments import LOAD, End, after, kill_at_start
from .world import Fault, World

SEGMENT_BYTES = (65536, 65536, 131072, 262144, 1 << 20)
MODES = ((), (), (), ("-f0",), ("-f50",), ("-F",))
CLAIM_S = 1.2  # an idle log says within a second how far it is durable
_BROKEN = (AssertionError, Closed, DidNotStart, OSError, TimeoutError, ValueError)


class Rounds:
    """say: takes a line about each round."""

    def __init__(
        self,
        daemon: Daemon,
        seed: int,
        mix: Mix | None = None,
        connections: int = 50,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.chance = random.Random(seed)
        self.world = World(self.chance)
        self.daemon = daemon
        self.said = Said()
        self.moments: Counter[str] = Counter()  # at which it was killed
        self.refused = 0  # puts in the last round
        self._seed = seed
        self._mix = mix or Mix()
        self._connections = connections
        self._say = say
        self.number = 0  # of the round

    def run(self, rounds: int) -> None:
        """Killed at any time."""
        for _ in range(rounds):
            start = "start: reading" if self.chance.random() < 0.25 else ""
            self.round(self.options(), after(0.05 + 0.35 * self.chance.random()), start)

    def options(self) -> tuple[str, ...]:
        return ("-s", str(self.chance.choice(SEGMENT_BYTES)), *self.chance.choice(MODES))

    def round(self, options: Sequence[str], end: End, start: str = "") -> None:
        """Load until the end, a restart (and before that one that is killed at the moment `start`),
        the audit.
        """
        self.number += 1
        answers = self.world.answers
        about, moments = "", [LOAD]
        try:
            if not self.daemon.is_up():
                self.start(options)
            about = " ".join(self.daemon.options)
            load = Load(self.world, self.daemon, self._mix, self._connections)
            with _Killer(end, self.daemon) as moments:
                load.run()
            self.said.hear(self.daemon.errors())
            if start:
                self.daemon.options = tuple(options)
                moments.append(kill_at_start(self.daemon, start, self.chance))
                self.said.hear(self.daemon.errors())
            self.start(options)
            self.audit(load)
        except _BROKEN as error:
            raise Fault(
                f"seed {self._seed}, {self._about(about, moments)}\n{error!r:.200}\n{error}\n{self.daemon.errors()}"
            ) from error
        self.moments.update(moments)
        self.refused, self.world.refused_puts = self.world.refused_puts, 0
        answered = self.world.answers - answers
        self._say(
            f"{self._about(about, moments)}: {answered} answers, {self.refused} puts refused, {len(self.world.jobs)} jobs"
        )

    def _about(self, options: str, moments: Sequence[str]) -> str:
        return f"round {self.number}, {options or 'default options'}, killed at {' and '.join(moments)}"

    def audit(self, load: Load | None = None) -> None:
        """Of a server that was just started."""
        with Conversation(self.daemon.connect()) as server:
            Audit(self.world, load.clients if load else (), server).run()

    def start(self, options: Sequence[str]) -> None:
        """Raises DidNotStart; Fault if it has anything to say but what a kill explains."""
        self.daemon.options = tuple(options)
        self.daemon.start()
        self.said.hear(self.daemon.errors())

    def kill_at_start(self, name: str, skip: int) -> None:
        """Nobody asks it for anything yet."""
        self.moments[kill_at_start(self.daemon, name, self.chance, skip)] += 1
        self.said.hear(self.daemon.errors())

    def kill_at_rest(self) -> None:
        """Some time after the last client was there: then nothing is torn, either."""
        time.sleep(CLAIM_S)
        self.daemon.kill()
        self.moments["rest"] += 1
        torn = len(self.said.torn)
        self.start(self.daemon.options)
        if self.said.torn[torn:]:
            raise Fault(f"torn, though it was idle: {self.daemon.errors()}")
        self.audit()


class _Killer:
    """Lets the End happen beside the load. Yields the moments at which it did."""

    def __init__(self, end: End, daemon: Daemon) -> None:
        self._end = end
        self._daemon = daemon
        self._moments: list[str] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._kill)

    def _kill(self) -> None:
        try:
            self._moments.append(self._end(self._daemon))
        except BaseException as error:
            self._error = error
        finally:
            self._daemon.kill()  # whatever happened: the load must end

    def __enter__(self) -> list[str]:
        self._thread.start()
        return self._moments

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
