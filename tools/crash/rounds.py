"""Rounds of load and SIGKILL on one directory.

May know: everything here. Promises: each round ends with an audit; a Fault names seed and round.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence

from .audit import Audit
from .conversation import Conversation
from .daemon import Daemon, DidNotServe
from .load import Load
from .mix import Mix
from .world import Fault, World

SEGMENT_BYTES = (65536, 65536, 131072, 262144, 1 << 20)
MODES = ((), (), (), ("-f0",), ("-f50",), ("-F",))


class Rounds:
    """say: takes a line about each round."""

    def __init__(
        self, daemon: Daemon, seed: int, mix: Mix | None = None, connections: int = 50, say: Callable[[str], None] = lambda line: None
    ) -> None:
        self.chance = random.Random(seed)
        self.world = World(self.chance)
        self.daemon = daemon
        self._seed = seed
        self._mix = mix or Mix()
        self._connections = connections
        self.refused = 0  # puts in the last round
        self._say = say
        self._number = 0

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.round(self.options(), 0.05 + 0.35 * self.chance.random())

    def options(self) -> tuple[str, ...]:
        return ("-s", str(self.chance.choice(SEGMENT_BYTES)), *self.chance.choice(MODES))

    def round(self, options: Sequence[str], seconds: float, end: Callable[[Daemon], object] = Daemon.kill) -> None:
        """Load for so long, then the end, a restart and the audit."""
        self._number += 1
        about = f"seed {self._seed}, round {self._number}, {' '.join(options)}, {seconds:.3f} s"
        answers = self.world.answers
        try:
            if not self.daemon.is_up():
                self.daemon.start(options)
            load = Load(self.world, self.daemon, self._mix, self._connections)
            killer = threading.Timer(seconds, end, (self.daemon,))
            killer.start()
            try:
                load.run()
            finally:
                killer.join()
            self._restart_and_audit(load, options)
        except (AssertionError, DidNotServe, OSError, TimeoutError) as error:
            raise Fault(f"{about}: {error}\n{self.daemon.errors()}") from error
        self.refused, self.world.refused_puts = self.world.refused_puts, 0
        self._say(f"{about}: {self.world.answers - answers} answers, {self.refused} puts refused, {len(self.world.jobs)} jobs")

    def _restart_and_audit(self, load: Load, options: Sequence[str]) -> None:
        if self.chance.random() < 0.25:  # killed once more, somewhere in its start
            self.daemon.launch(options)
            time.sleep(0.1 + 0.25 * self.chance.random())
            self.daemon.kill()
        self.daemon.start(options)
        with Conversation(self.daemon.connect()) as server:
            Audit(self.world, load.clients, server).run()
