"""Rounds of load and SIGKILL on one directory. Each round ends with an audit.

A Fault names the seed and the round.
"""

from __future__ import annotations

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from types import TracebackType

from testkit.daemon import Daemon, DidNotStart
from testkit.waiting import wait_until

from .audit import Audit
from .conversation import Closed, Conversation
from .directory import lsn_at_rest, sizes
from .fault import Fault
from .idle_checks import StartMessages
from .kill_points import LOAD, KillPoint, after, kill_at_start
from .knowledge import Knowledge
from .load import Load
from .mix import Mix

SEGMENT_BYTES = (65536, 65536, 131072, 262144, 1 << 20)
MODES = ((), (), (), ("-f0",), ("-f50",), ("-F",))
LOOKS_AT_REST, REPLAY_POLL_S = 5, 0.05
_BROKEN = (AssertionError, Closed, DidNotStart, OSError, TimeoutError, ValueError)


class Rounds:
    """say: prints a line for each round."""

    def __init__(
        self,
        daemon: Daemon,
        seed: int,
        mix: Mix | None = None,
        connections: int = 50,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.rng = random.Random(seed)
        self.knowledge = Knowledge(self.rng)
        self.daemon = daemon
        self.messages = StartMessages()
        self.kill_points: Counter[str] = Counter()  # how often each was reached
        self.least_answers = 0  # replies in a round before its kill point may come
        self.refused = 0  # refused puts in the last round
        self._seed = seed
        self._mix = mix or Mix()
        self._connections = connections
        self._say = say
        self.number = 0  # number of the current round

    def run(self, rounds: int) -> None:
        """Kills at random times."""
        for _ in range(rounds):
            start = "start: reading" if self.rng.random() < 0.25 else ""
            self.round(self.options(), after(0.05 + 0.35 * self.rng.random()), start)

    def options(self) -> tuple[str, ...]:
        return ("-s", str(self.rng.choice(SEGMENT_BYTES)), *self.rng.choice(MODES))

    def round(self, options: Sequence[str], end: KillPoint, start: str = "") -> None:
        """Load until the kill point, a restart, and the audit.

        start: kill also a start, at this kill point.
        """
        self.number += 1
        answers = self.knowledge.answers
        about, kill_points = "", [LOAD]
        try:
            if not self.daemon.is_up():
                self.start(options)
            about = " ".join(self.daemon.options)
            load = Load(self.knowledge, self.daemon, self._mix, self._connections)
            with Killer(self._after_answers(end), self.daemon) as kill_points:
                load.run()
            self.messages.add(self.daemon.errors())
            if start:
                self.daemon.options = tuple(options)
                kill_points.append(kill_at_start(self.daemon, start, self.rng))
                self.messages.add(self.daemon.errors())
            self.start(options)
            self.audit(load)
        except _BROKEN as error:
            raise Fault(
                f"seed {self._seed}, {self._about(about, kill_points)}\n"
                f"{error!r:.200}\n{error}\n{self.daemon.errors()}"
            ) from error
        self.kill_points.update(kill_points)
        self.refused, self.knowledge.refused_puts = self.knowledge.refused_puts, 0
        answered = self.knowledge.answers - answers
        self._say(
            f"{self._about(about, kill_points)}: {answered} answers, "
            f"{self.refused} puts refused, {len(self.knowledge.jobs)} jobs"
        )

    def _after_answers(self, end: KillPoint) -> KillPoint:
        """The kill point, not before the load has had `least_answers` replies."""
        enough = self.knowledge.answers + self.least_answers

        def later(daemon: Daemon) -> str:
            wait_until(
                lambda: self.knowledge.answers >= enough or not daemon.is_up(),
                lambda: f"{self.knowledge.answers} replies, not {enough}",
            )
            return end(daemon)

        return later

    def _about(self, options: str, kill_points: Sequence[str]) -> str:
        options = options or "default options"
        return f"round {self.number}, {options}, killed at {' and '.join(kill_points)}"

    def audit(self, load: Load | None = None) -> None:
        """The server must have been started just now."""
        with Conversation(self.daemon.connect()) as server:
            Audit(self.knowledge, load.clients if load else (), server).run()

    def start(self, options: Sequence[str]) -> None:
        """Raises DidNotStart, or Fault for a message that a kill does not explain."""
        self.daemon.options = tuple(options)
        self.daemon.start()
        self.messages.add(self.daemon.errors())

    def kill_at_start(self, name: str, skip: int) -> None:
        """Kills a start without any client."""
        self.kill_points[kill_at_start(self.daemon, name, self.rng, skip)] += 1
        self.messages.add(self.daemon.errors())

    def kill_at_rest(self) -> None:
        """Kills the idle server. No tail may be torn then."""
        self._wait_until_at_rest()
        self.daemon.kill()
        self.kill_points["rest"] += 1
        torn = len(self.messages.torn)
        self.start(self.daemon.options)
        if self.messages.torn[torn:]:
            raise Fault(f"torn although the server was idle: {self.daemon.errors()}")
        self.audit()

    def _wait_until_at_rest(self) -> None:
        """Waits until the log looks complete, and the same, several times."""
        never_synced = "-F" in self.daemon.options
        seen: deque[int | None] = deque([None], maxlen=LOOKS_AT_REST)

        def at_rest() -> bool:
            seen.append(lsn_at_rest(self.daemon.directory, never_synced))
            return len(seen) == LOOKS_AT_REST and None not in seen and len(set(seen)) == 1

        wait_until(
            at_rest, lambda: f"{list(seen)}: {sizes(self.daemon.directory)}", poll_s=REPLAY_POLL_S
        )


class Killer:
    """Runs the kill point in a thread during the load. Yields the names of reached kill points."""

    def __init__(self, end: KillPoint, daemon: Daemon) -> None:
        self._end = end
        self._daemon = daemon
        self._kill_points: list[str] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._kill)

    def _kill(self) -> None:
        try:
            self._kill_points.append(self._end(self._daemon))
        except BaseException as error:
            self._error = error
        finally:
            self._daemon.kill()  # the load must end in any case

    def __enter__(self) -> list[str]:
        self._thread.start()
        return self._kill_points

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
