"""The journal: each change of the queue becomes a record in the log, before memory changes.

`Binlog` is what `opening.open_binlog` returns and what the server drives. It knows no sockets and
no clock: the server tells it the time at the end of each iteration of its loop. It composes

- `Usage`: live and dead bytes of each segment,
- `Headroom`: whether there is headroom for a record, and how much is preallocated,
- `Compactor`: rewriting and retiring segments.

New jobs are in `putrecords`, records about tubes in `tuberecords`.
"""

from collections.abc import Callable
from contextlib import suppress
from struct import error as StructError
from typing import Final

import beanstalkd_wal as wal

from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.headroom import FRAME_BYTES, Headroom
from beanstalkd_py.binlog.ids import ReservedIds
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.putrecords import PutRecords
from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    Update,
    deadline_on_disk,
    encode,
)
from beanstalkd_py.binlog.refusals import Refusals
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.report import Report
from beanstalkd_py.binlog.usage import (
    LENGTH_FIELD,
    UPDATE_BYTES,
    Place,
)
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import Job
from beanstalkd_py.queue.snapshot import LogSnapshot
from beanstalkd_py.queue.state import State

# The end of an iteration looks at headroom and compaction only after a 64th of a segment was
# appended or became dead. That saves 3 us per iteration.
LITTLE_SHARE: Final = 64
DELETE_BYTES: Final = DELETE_STRUCT.size + LENGTH_FIELD
DELETE_COST: Final = DELETE_BYTES + FRAME_BYTES


class Binlog(PutRecords):
    """The queue's `Journal`, which writes to a `Log`."""

    def __init__(
        self,
        state: State,
        log: Log,
        replayer: Replayer,
        ids: ReservedIds,
        segment_bytes: int,
        wall: int,
        report: Report,
    ) -> None:
        """replayer: has applied the whole log to `state`. ids: what `log` asks for the metadata of
        its segments. segment_bytes: bytes of a segment. wall: wall clock, ns.
        """
        usage = replayer.usage
        usage.begin(log.segment_sizes, log.segment, log.active_bytes)
        headroom = Headroom(log, usage, state.jobs, segment_bytes, wall)
        compactor = Compactor(state, log, usage, headroom)
        super().__init__(usage, headroom, compactor, Refusals(report), log, ids, state.memory)
        self.offset = self.compactor.offset = replayer.offset  # wall clock minus boot time, ns
        self._first_lsn = log.lsn
        self._little = segment_bytes // LITTLE_SHARE
        # log.appended_bytes and usage.kept when headroom and compaction were looked at last:
        self._appended = log.appended_bytes
        self._kept = usage.kept

    # --- the journal: log before state

    def change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        """Appends an UPDATE record: the job as it is after the change. False when there is no
        headroom. Raises LogFailed. deadline_at: boot time, ns.
        """
        if not self.headroom_for_change(UPDATE_BYTES):
            return False
        on_disk = deadline_on_disk(state, deadline_at, self.offset)
        try:
            record = UPDATE_STRUCT.pack(UPDATE, state, 0, pri, job.id, delay, on_disk, *counters)
        except StructError:
            record = encode(Update(state, pri, job.id, delay, on_disk, *counters))
        segment = self.headroom.append(record)
        if segment is None:
            return False
        self.usage.update_written(job, segment)
        return True

    def delete(self, job: Job) -> bool:
        """Appends a DELETE record. False when there is no headroom. Raises LogFailed.

        Hot path, so `Headroom.append` and `Usage.forget` are written out here: 0.5 us.
        """
        log = self.log
        headroom = self.headroom
        usage = self.usage
        if log.headroom - DELETE_COST < headroom.low:
            # The result is ignored: a delete may use the last headroom, because it makes more bytes
            # dead than its record takes.
            self.headroom_for_change(DELETE_BYTES)
        record = DELETE_STRUCT.pack(DELETE, job.id)
        try:
            number = log.append(record)
        except wal.LogFull:
            if headroom.append(record) is None:
                return False
        else:
            if number != usage.current.number:
                headroom.rotated(number)
        place = job.full_segment
        if job.update_segment is None and isinstance(place, Place):
            nbytes = place.overhead + len(job.tube.name) + len(job.body)
            place.segment.live -= nbytes
            usage.live -= nbytes
            if place.has_grown:
                usage.grown -= 1
        else:
            usage.forget(job)
        return True

    def take_back(self, job: Job) -> bool:
        """As `delete`. Compaction for the DELETE record must find no live record without a job."""
        self.usage.forget(job)
        job.full_segment = None
        return self.delete(job)

    # --- numbers

    @property
    def written(self) -> int:
        """Records that were appended since the log was opened, those of compaction included."""
        return self.log.lsn - self._first_lsn

    @property
    def is_full(self) -> bool:
        """Whether the disk is full, as far as is known. `retry` tries again."""
        return self.headroom.is_full

    @property
    def needs_retry(self) -> bool:
        """Whether `retry` must be called now and then."""
        return self.headroom.is_full or self.refusals.pending

    def snapshot(self) -> LogSnapshot:
        """The figures that `stats` shows of the log."""
        return LogSnapshot(self.log.oldest, self.log.segment, self.compactor.migrated, self.written)

    # --- time

    @property
    def busy(self) -> bool:
        """Whether `commit` or `keep_up` has something to do."""
        return self.log.pending or self.compactor.more or self.headroom.recheck

    def end_iteration(self, now: int, wall: int) -> bool:
        """The end of an iteration: `commit` for clients that wait, then `keep_up`."""
        self.commit(now, wall)
        return self.keep_up(now, wall)

    def commit(self, now: int, wall: int, inline: bool = False) -> None:
        """Commits what was appended. Raises LogFailed. now: boot time, ns. wall: wall clock, ns.
        inline: the commit may be done at once instead of by another thread (see `Log.commit`).
        """
        self.offset = self.compactor.offset = wall - now
        self.headroom.wall = wall
        if self.log.commit(wall, inline):
            self.collect()

    def keep_up(self, now: int, wall: int) -> bool:
        """Compacts a little, and looks at headroom. True if compaction wants another iteration
        soon. Raises LogFailed. To be called after `commit`, with the same times. Records that
        compaction appends are committed with the next commit.
        """
        log = self.log
        headroom = self.headroom
        compactor = self.compactor
        if compactor.more or headroom.recheck or self._enough_happened():
            headroom.update_marks()
            compactor.advance(log.appended_bytes - self._appended)
            headroom.recheck = False
            if log.pending and not compactor.more and log.commit(wall):
                self.collect()
            headroom.keep()
            self._appended = log.appended_bytes
            self._kept = self.usage.kept
        if self.refusals.pending:
            self.refusals.check(now, headroom.accepts_puts, log.full_errno)
        return compactor.more

    def _enough_happened(self) -> bool:
        """Whether enough has changed to look at headroom and compaction again."""
        usage = self.usage
        return (
            self.log.appended_bytes - self._appended > self._little
            or abs(usage.kept - self._kept) > self._little
            or (usage.oldest is not None and usage.oldest.live <= 0)
            or self.log.changes != self.headroom.changes
            or self.headroom.is_full
        )

    def collect(self) -> None:
        """Takes over the reports of the log's threads. Raises LogFailed."""
        self.log.collect()
        if self.log.changes != self.headroom.changes:
            self.headroom.keep()
            self.compactor.more = self.compactor.more or self.compactor.has_work()

    def retry(self) -> None:
        """The disk was full, and may have space again: asks for headroom. The end of the iteration
        then checks whether puts are accepted again.
        """
        self.headroom.retry()
        self.compactor.retry()

    def close(self, wall: int) -> None:
        """An orderly stop: the next start goes on with the next id, without a gap. Commits, makes
        everything durable and closes the log. Raises LogFailed. wall: wall clock, ns.
        """
        if self.ids.ahead:
            with suppress(wal.LogFailed):  # `close` raises it again
                self.headroom.append(self.ids.exact())  # without headroom, there will be a gap
        self.log.close(wall)

    # --- while no client is served

    def compact_all(self, progress: Callable[[int, int], None] = lambda done, total: None) -> bool:
        """Compacts even what the invariant allows, for operators. See `Compactor.compact_all`."""
        return self.compactor.compact_all(progress)
