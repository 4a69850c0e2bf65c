"""The schedules of a scenario: the server's own `Schedules` beside those of the reference model.

In one of four scenarios the server has schedules. Its runs have some of them each, and change them,
as a reload does. The server looks at them at random instants, so runs are late or missed.

May know: the simulated server, the clock. Promises: a function of the seed. Where memory runs out
there are no schedules, because no reply would tell which of their puts was refused.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from beanstalkd_py.config.schedules import Schedule
from beanstalkd_py.host.events import EventLog
from beanstalkd_py.server.schedules import Schedules

from .clock import SECOND
from .reference import schedules as reference
from .server import Server

EVERY = 4  # scenarios
CHECKS = 0.15  # before so many of the events
RELOADS = 0.02  # of the checks
# With a period and an offset, which mean the same as the cron line.
TABLE = (
    (Schedule("minutely", "* * * * *", "a", "each minute", missed="one"), 60, 0),
    (Schedule("skipping", "*/2 * * * *", "b", "each two minutes", priority=5), 120, 0),
    (Schedule("hourly", "17 * * * *", "mail/outgoing", ttr=2, missed="one"), 3600, 1020),
    (Schedule("daily", "30 3 * * *", "default", "x" * 90, missed="one"), 86400, 12600),
    (Schedule("nightly", "0 2 * * *", "a", "missed runs are skipped", priority=0), 86400, 7200),
)


def schedules_of(seed: int) -> Random | None:
    """The generator for the schedules of a scenario; None if it has none."""
    rng = Random(f"schedules {seed}")
    return rng if rng.randrange(EVERY) == 0 else None


class SimulatedSchedules:
    """Of one run of the server."""

    def __init__(self, rng: Random, server: Server, counts: Counter[str]) -> None:
        self._rng = rng
        self._counts = counts
        self._server = server
        self._model = server.lockstep.model
        self._clock = server.clock
        self._real = Schedules(
            server.lockstep.queue,
            EventLog("simulation", lambda line, at: True),
            self._wall_s,
            lambda: self._clock.now,
            lambda now: None,  # the lockstep does it
        )

    def _wall_s(self) -> float:
        return self._clock.wall / SECOND

    def look(self) -> str:
        """What the server does about its schedules before the next event. No kernel has a wall
        clock before 1970.
        """
        if self._rng.random() > CHECKS or self._clock.wall <= 0:
            return ""
        if self._rng.random() < RELOADS:
            return self.set()
        wall_s, put = self._wall_s(), self._model.history.runs
        before = len(put)
        self._server.step(
            self._real.check, lambda: reference.check(self._model, self._clock.now, wall_s)
        )
        self._counts["runs of schedules"] += len(put) - before
        return "schedules are looked at"

    def set(self) -> str:
        """At a start, and at a reload."""
        if self._clock.wall <= 0:
            return ""
        chosen = [each for each in TABLE if self._rng.random() < 0.7]
        schedules = tuple(schedule for schedule, _, _ in chosen)
        rules = tuple(_rule(*each) for each in chosen)
        wall_s = self._wall_s()
        self._server.step(
            lambda: self._real.set(schedules),
            lambda: reference.set_rules(self._model, rules, wall_s),
        )
        return f"schedules: {', '.join(schedule.name for schedule in schedules)}"


def _rule(schedule: Schedule, period: int, offset: int) -> reference.Rule:
    return reference.Rule(
        schedule.name.encode(),
        period,
        offset,
        schedule.tube.encode(),
        schedule.body.encode(),
        schedule.priority,
        schedule.ttr * SECOND,
        schedule.missed == "skip",
    )
