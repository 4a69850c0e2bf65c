"""The journal: each change of the queue becomes a record in the log, before memory changes.

`Binlog` is what `opening.open_binlog` returns and what the server drives. It knows no sockets and
no clock: the server tells it the time at the end of each iteration of its loop. It composes

- `Usage`: live and dead bytes of each segment,
- `Headroom`: whether there is headroom for a record, and how much is preallocated,
- `Compactor`: rewriting and retiring segments.

Records about tubes are in `tuberecords`.
"""

from collections.abc import Callable
from contextlib import suppress
from struct import error as StructError
from typing import Final

import beanstalkd_wal as wal

from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.headroom import FRAME_BYTES, LONG_BODY, Headroom
from beanstalkd_py.binlog.ids import ReservedIds
from beanstalkd_py.binlog.jobrecord import whole_seconds
from beanstalkd_py.binlog.log import Log
from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    ID_SHIFT,
    NAME_SHIFT,
    NEW,
    NEW_STRUCT,
    SHORT,
    SHORT_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    Full,
    Ids,
    Update,
    deadline_on_disk,
    encode,
)
from beanstalkd_py.binlog.refusals import Refusals
from beanstalkd_py.binlog.replay import Replayer
from beanstalkd_py.binlog.report import Report
from beanstalkd_py.binlog.tuberecords import TubeRecords
from beanstalkd_py.binlog.usage import (
    LENGTH_FIELD,
    UPDATE_BYTES,
    Place,
)
from beanstalkd_py.binlog.withrecords import on_disk
from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import READY, Job
from beanstalkd_py.queue.snapshot import LogSnapshot
from beanstalkd_py.queue.state import State

# The end of an iteration looks at headroom and compaction only after a 64th of a segment was
# appended or became dead. That saves 3 us per iteration.
LITTLE_SHARE: Final = 64
DELETE_BYTES: Final = DELETE_STRUCT.size + LENGTH_FIELD
DELETE_COST: Final = DELETE_BYTES + FRAME_BYTES


class Binlog(TubeRecords):
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
        super().__init__(usage, headroom, compactor, Refusals(report))
        self.log = log
        self.ids = ids
        self._memory = state.memory
        self.offset = self.compactor.offset = replayer.offset  # wall clock minus boot time, ns
        self._first_lsn = log.lsn
        self._ttr = self._ttr_s = 0  # of the latest put: ns, and the same in seconds
        self._little = segment_bytes // LITTLE_SHARE
        # log.appended_bytes and usage.kept when headroom and compaction were looked at last:
        self._appended = log.appended_bytes
        self._kept = usage.kept

    # --- the journal: log before state

    def put(
        self,
        id: int,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
    ) -> Place | None:
        """Appends the record of a new job. Returns its place; None when there is no headroom, or no
        memory for the record. Raises LogFailed. Instants are boot time, ns, durations ns.

        Hot path, so calls are written out here: 0.8 us.
        """
        if id >= self.ids.bound and not self._reserve_ids(id):
            return None
        created_at += self.offset
        long_body = body if len(body) > LONG_BODY else b""  # it is not copied
        end = b"" if long_body else body
        if ttr != self._ttr:
            self._ttr, self._ttr_s = ttr, whole_seconds(ttr)
        first = id << ID_SHIFT | len(tube) << NAME_SHIFT
        try:
            if state == READY and not delay:
                record = NEW_STRUCT.pack(first | NEW, pri, self._ttr_s, created_at) + tube + end
            else:
                on_disk = deadline_on_disk(state, deadline_at, self.offset)
                record = SHORT_STRUCT.pack(
                    first | SHORT, pri, self._ttr_s, created_at, whole_seconds(delay), on_disk,
                    state, 0, 0, 0, 0, 0,
                ) + tube + end  # fmt: skip
        except StructError:  # the wall clock is far ahead, or the id is very large
            on_disk = deadline_on_disk(state, deadline_at, self.offset)
            record = encode(
                Full(state, pri, id, delay, ttr, created_at, on_disk, 0, 0, 0, 0, 0, tube, end)
            )
        except MemoryError:
            self._memory.refuse()
            return None
        nbytes = len(record) + len(long_body) + LENGTH_FIELD
        log = self.log
        usage = self.usage
        largest = usage.largest
        if (
            log.headroom - nbytes < self.headroom.put_mark or nbytes > largest
        ) and not self.headroom_for_put(nbytes):
            self.refuse_put(largest)
            return None
        segment = usage.current
        try:
            number = log.append_long(record, long_body) if long_body else log.append(record)
        except wal.LogFull:  # the record is larger than any preallocated segment
            appended = self.headroom.append(record, self.headroom.low, long_body)
            if appended is None:
                self.refuse_put(largest)
                return None
            segment = appended
        else:
            if number != segment.number:
                segment = self.headroom.rotated(number)
        try:
            segment.ids.append(id)
        except MemoryError:
            self._undo_put(id)
            return None
        segment.live += nbytes
        usage.live += nbytes
        return segment.new if record[0] == NEW else usage.place_of_put(segment, record[0])

    def put_with(
        self,
        id: int,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
        attributes: Attributes,
    ) -> Place | None:
        """As `put`, of a job with attributes."""
        if not (id < self.ids.bound or self._reserve_ids(id)):
            return None
        offset = self.offset
        end_at = deadline_on_disk(state, deadline_at, offset)
        try:
            record = encode(
                Full(
                    state, pri, id, delay, ttr, created_at + offset, end_at, 0, 0, 0, 0, 0,
                    tube, b"" if len(body) > LONG_BODY else body, on_disk(attributes, offset),
                )
            )  # fmt: skip
        except MemoryError:
            self._memory.refuse()
            return None
        long_body = body if len(body) > LONG_BODY else b""
        largest = self.usage.largest
        nbytes = len(record) + len(long_body) + LENGTH_FIELD
        segment = None
        if self.headroom_for_put(nbytes):
            segment = self.headroom.append(record, self.headroom.low, long_body)
        if segment is None:
            self.refuse_put(largest)
            return None
        place = segment.place_with(attributes)
        try:
            segment.ids.append(id)
        except MemoryError:
            self._undo_put(id)
            return None
        self.usage.add(segment, nbytes)
        self.usage.grown += 1
        return place

    def _undo_put(self, id: int) -> None:
        """Memory ran out after the record of a put. A DELETE record makes it void."""
        self._memory.refuse()
        if self.headroom.append(DELETE_STRUCT.pack(DELETE, id)) is None:
            raise MemoryError

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

    def _reserve_ids(self, id: int) -> bool:
        """Reserves ids from `id` on, and waits until this is durable. False when there is no
        headroom. Raises LogFailed. Seldom: only if many puts without a record came since the active
        segment began.
        """
        bound = id + self.ids.ahead
        record = encode(Ids(bound))
        headroom = self.headroom
        if not headroom.above(headroom.low, len(record)) or headroom.append(record) is None:
            self.refuse_put(self.usage.largest)
            return False
        self.log.drain(headroom.wall)
        self.ids.bound = bound
        # The put may still be refused. The iteration has an end even then: there the outbox learns
        # that the record needs a durable watermark.
        headroom.recheck = True
        return True

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
