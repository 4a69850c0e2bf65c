"""Schedules: jobs that the server puts at the instants of a cron line.

`check` is called once a second and looks at the wall clock. The log has the latest run of each
schedule, so no run is put twice: not after a restart, and not if the wall clock is set back. A run
that is late by more than LATE_S was missed, because no server ran, or it refused puts. Of missed
runs at most the latest one is put.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.config.schedules import Schedule
from beanstalkd_py.host.events import EventLog
from beanstalkd_py.protocol.answers import REPLIES
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.schedules import Putter, record_run

CHECK_S: Final = 1.0  # between two calls of `check`
LATE_S: Final = 60
NEVER: Final = float("inf")


class Schedules:
    """wall: returns the wall clock, in seconds of Unix time. now: boot time, ns. settle: passes
    jobs to the clients that have waited for them.
    """

    def __init__(
        self,
        queue: Queue,
        events: EventLog,
        wall: Callable[[], float],
        now: Callable[[], int],
        settle: Callable[[int], None],
    ) -> None:
        self._queue = queue
        self._events = events
        self._wall = wall
        self._now = now
        self._settle = settle
        self._putter = Putter(queue)
        self._schedules: tuple[Schedule, ...] = ()
        self._due: dict[str, float] = {}  # by name: when to look again
        self._checked_at = 0.0
        self._refused: dict[str, int] = {}  # by name: the run whose refusal was reported

    def set(self, schedules: tuple[Schedule, ...]) -> None:
        """To be called when the log is open, and after a reload. A schedule begins now, if the log
        has no run of it. Runs of schedules that are gone are forgotten.
        """
        self._schedules = schedules
        self._due.clear()
        names = {schedule.name.encode() for schedule in schedules}
        for name in [name for name in self._queue.runs if name not in names]:
            record_run(self._queue, name, 0)
        for schedule in schedules:
            self._begin(schedule.name.encode(), self._wall())

    def _begin(self, name: bytes, wall: float) -> bool:
        """Whether the schedule begins only now."""
        if name in self._queue.runs:
            return False
        record_run(self._queue, name, int(wall))
        return True

    def check(self) -> None:
        """Puts what is due."""
        if not self._schedules:
            return
        wall = self._wall()
        if wall < self._checked_at:  # the clock was set back
            self._due.clear()
        self._checked_at = wall
        for schedule in self._schedules:
            if wall >= self._due.get(schedule.name, 0):
                self._look(schedule, wall)
        self._settle(self._now())

    def _look(self, schedule: Schedule, wall: float) -> None:
        name = schedule.name.encode()
        if self._begin(name, wall):  # a full disk had no space for that
            return
        run = int(next(schedule.runs(wall + 1, back=True), 0))
        if run > wall:
            run = int(next(schedule.runs(run, back=True), 0))
        if run > self._queue.runs[name] and not self._make(schedule, run, wall):
            return  # it is tried again with the next check
        self._due[schedule.name] = next(schedule.runs(wall), NEVER)

    def _make(self, schedule: Schedule, run: int, wall: float) -> bool:
        """False if the put was refused, and may be tried again."""
        name = schedule.name.encode()
        if schedule.missed == "skip" and wall - run > LATE_S:
            return record_run(self._queue, name, run)
        refusal = self._putter.run(
            self._now(), name, run, schedule.tube.encode(), schedule.priority, schedule.ttr,
            schedule.body.encode(),
        )  # fmt: skip
        if refusal is None:
            return True
        if self._refused.get(schedule.name) != run:
            self._refused[schedule.name] = run
            reply = REPLIES[refusal].decode().strip()
            self._events(
                f"schedule {schedule.name}: a run was refused with {reply}; it is tried again",
                event="schedule_refused",
                schedule=schedule.name,
                reply=reply,
            )
        return False
