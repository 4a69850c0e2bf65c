"""The binlog as the queue's journal. It notes which moves were refused.

When a job becomes a dead letter, no reply tells whether the disk had space for the move. Its client
may send more commands for the job in the same step, so the queue does not tell either.

May know: the journal's protocol. Promises: changes nothing.
"""

from __future__ import annotations

from typing import Any

from beanstalkd_py.queue.journal import Journal
from beanstalkd_py.queue.model import Job


class WatchedJournal:
    """A `Journal` (see beanstalkd_py.queue.journal)."""

    def __init__(self, binlog: Journal) -> None:
        self._binlog = binlog
        # (id, tube, reserves) -> whether the latest such move was accepted. A job is delivered
        # again before it becomes a dead letter again, so `reserves` tells its moves apart.
        self._moves: dict[tuple[int, bytes, int], bool] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._binlog, name)

    def move(self, job: Job, tube: bytes, *change: Any) -> bool:
        accepted = self._binlog.move(job, tube, *change)
        reserves = change[4][0]
        self._moves[job.id, tube, reserves] = accepted
        return accepted

    def refused_move(self, id: int, tube: bytes, reserves: int) -> bool:
        """Whether the latest such move was refused."""
        return not self._moves.get((id, tube, reserves), True)
