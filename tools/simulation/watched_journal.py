"""The binlog as the queue's journal. It notes which changes were refused that no reply tells of.

When a job becomes a dead letter or expires, when its first reserve ends its key, or when a schedule
puts a job, no reply tells whether the disk had space for it. A client may send more commands for
the job in the same step, so the queue does not tell either.

May know: the journal's protocol. Promises: changes nothing.
"""

from __future__ import annotations

from typing import Any

from beanstalkd_py.queue.journal import Journal
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED, Job


class WatchedJournal:
    """A `Journal` (see beanstalkd_py.queue.journal)."""

    def __init__(self, binlog: Journal) -> None:
        self._binlog = binlog
        # (id, tube, reserves) -> whether the latest such move was accepted. A job is delivered
        # again before it becomes a dead letter again, so `reserves` tells its moves apart.
        self._moves: dict[tuple[int, bytes, int], bool] = {}
        # (id, reserves) of reserves; (id, reserves, kicks) of deletes of ready and delayed jobs: a
        # job whose expiry was refused is buried, and kicked before it expires again.
        self._reserves: dict[tuple[int, int], bool] = {}
        self._deletes: dict[tuple[int, int, int], bool] = {}
        # Of schedules: ids of puts, and (name, instant) of runs.
        self._puts: dict[int, bool] = {}
        self._runs: dict[tuple[bytes, int], bool] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._binlog, name)

    def move(self, job: Job, tube: bytes, *change: Any) -> bool:
        accepted = self._binlog.move(job, tube, *change)
        reserves = change[4][0]
        self._moves[job.id, tube, reserves] = accepted
        return accepted

    def change(self, job: Job, state: int, *change: Any) -> bool:
        accepted = self._binlog.change(job, state, *change)
        if state == RESERVED:
            self._reserves[job.id, change[3][0]] = accepted
        return accepted

    def delete(self, job: Job) -> bool:
        accepted = self._binlog.delete(job)
        if job.state in (READY, DELAYED):
            self._deletes[job.id, job.reserves, job.kicks] = accepted
        return accepted

    def put_with(self, id: int, *put: Any) -> object | None:
        segment = self._binlog.put_with(id, *put)
        self._puts[id] = segment is not None
        return segment

    def run(self, schedule: bytes, at: int) -> bool:
        accepted = self._binlog.run(schedule, at)
        self._runs[schedule, at] = accepted
        return accepted

    def refused_put(self, id: int) -> bool:
        """Whether the put-with of this id was refused."""
        return not self._puts.get(id, True)

    def refused_run(self, schedule: bytes, at: int) -> bool:
        """Whether the latest such record was refused."""
        return not self._runs.get((schedule, at), True)

    def refused_reserve(self, id: int, reserves: int) -> bool:
        """Whether the record of this reserve was refused. reserves: with it."""
        return not self._reserves.get((id, reserves), True)

    def refused_expiry(self, id: int, reserves: int, kicks: int) -> bool:
        """Whether the delete of an expired job was refused."""
        return not self._deletes.get((id, reserves, kicks), True)

    def refused_move(self, id: int, tube: bytes, reserves: int) -> bool:
        """Whether the latest such move was refused."""
        return not self._moves.get((id, tube, reserves), True)
