"""The jobs as they were at an earlier moment, although compaction has deleted some records since.

Promises: every job shown existed at the moment. A job whose state at the moment is not known for
certain is marked.

1. Records up to the moment are replayed.
2. The beginning of the log may have been deleted. Then a job may have a full record only after the
   moment, where compaction wrote it again. The job is taken from that record, and its latest update
   up to the moment is applied.
3. Without such an update, a job is uncertain in two cases: it was updated between the moment and
   that full record, or its delay may have ended in between. `uncertain` has its id, and the job is
   shown in its later state.
4. A job may have been deleted before compaction wrote it again. Then only its existence is known:
   `lost` counts such jobs.
"""

from __future__ import annotations

import beanstalkd_wal as wal

from beanstalkd_binlog.entry import next_id_of
from beanstalkd_binlog.fields import COUNTERS
from beanstalkd_binlog.light import records_offset
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import Delete, Full, Import, Move, Record, Update, decode
from beanstalkd_py.queue.model import READY, RESERVED

CHANGES = (Full, Update, Move, Delete)


class Moment:
    """An LSN, an instant (wall-clock ns), or neither: the end of the log."""

    def __init__(self, lsn: int | None = None, at: int | None = None) -> None:
        self.lsn = lsn
        self.at = at

    def count(self, frame: wal.Frame) -> int:
        """How many of the frame's records are not later than the moment."""
        if self.at is not None:
            return len(frame.records) if frame.at <= self.at else 0
        if self.lsn is not None:
            return max(0, min(len(frame.records), self.lsn - frame.first_lsn + 1))
        return len(frame.records)

    @property
    def is_now(self) -> bool:
        return self.lsn is None and self.at is None


class Past:
    """After `read`, `replayer` holds the jobs of the moment."""

    def __init__(self, walk: Walk, moment: Moment) -> None:
        self._walk = walk
        self._moment = moment
        self.replayer = walk.replayer
        self.at = moment.at or 0  # the instant of the moment
        self.before_log = False  # the log begins after the moment
        self.uncertain: set[int] = set()
        self.lost = 0
        self._found_records = False  # up to the moment
        self._is_past = False  # a record later than the moment was read
        self._next_id = 1  # when the segment of the moment was created: higher ids came later
        # Of jobs that have no full record up to the moment:
        self._updates: dict[int, bytes] = {}  # the latest update up to the moment
        self._updated_later: set[int] = set()
        self._moved_later: set[int] = set()  # the full record has a later tube

    def read(self) -> None:
        for found in self._walk:
            if isinstance(found, Gap) and not self._is_past:
                self.replayer = self._walk.replayer
                self._updates.clear()
            elif isinstance(found, wal.Frame) and not self._read_frame(found):
                break
        self.before_log = not self._found_records and not self._has_beginning()
        self.replayer.finish()
        self.replayer.state.tick(self.at)

    def _read_frame(self, frame: wal.Frame) -> bool:
        """Returns False if no later frame can matter."""
        count = 0 if self._is_past else self._moment.count(frame)
        if count:
            self._found_records = True
            meta = self._walk.reading.segments[frame.segment].meta
            self._next_id = max(self._next_id, next_id_of(meta))
        offset = records_offset(frame)
        for index, data in enumerate(frame.records):
            lsn = frame.first_lsn + index
            if index < count:
                self._apply(data, frame, lsn, offset)
            elif not self._read_later(data, frame, lsn, offset):
                return False
            offset += len(data)
        return True

    def _has_beginning(self) -> bool:
        """Whether no record was deleted: every job of the moment is known."""
        segments = self._walk.reading.segments
        return not segments or segments[min(segments)].base_lsn <= 1

    def _apply(self, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        """A record up to the moment."""
        self.replayer.apply_one(data, frame, lsn, offset)
        record = _decoded(data)
        if isinstance(record, (Update, Move)) and record.id not in self.replayer.state.jobs:
            self._updates[record.id] = data
        if self._moment.at is None:
            self.at = max(self.at, frame.at)

    def _read_later(self, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> bool:
        """A record after the moment, which may describe a job of the moment. Returns False if no
        later record can do so.
        """
        self._is_past = True
        record = _decoded(data)
        if self._has_beginning() or isinstance(record, Import):
            return False
        if not isinstance(record, CHANGES) or record.id in self.replayer.state.jobs:
            return True
        if record.id >= self._next_id:
            return True  # put after the moment
        if isinstance(record, Move):
            self._moved_later.add(record.id)
        if isinstance(record, (Update, Move)):
            self._updated_later.add(record.id)
        elif isinstance(record, Delete):
            self.lost += 1
        else:
            self._restore(record, data, frame, lsn, offset)
        return True

    def _restore(self, record: Full, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        """A job of the moment, from the full record that compaction wrote later."""
        self.replayer.apply_one(data, frame, lsn, offset)
        update = self._updates.pop(record.id, None)
        if record.id in self._moved_later:
            self.uncertain.add(record.id)
        if update is not None:
            self.replayer.apply_one(update, frame, lsn, offset)
        elif record.id in self._updated_later or self._may_have_been_delayed(record):
            self.uncertain.add(record.id)

    def _may_have_been_delayed(self, record: Full) -> bool:
        """The job was ready when it was written again, but may have been delayed at the moment. The
        end of a delay is not logged.
        """
        if record.state not in (READY, RESERVED) or not record.delay:
            return False
        used = any(getattr(record, name) for name in COUNTERS)
        return used or record.created_at + record.delay > self.at


def _decoded(data: bytes) -> Record | None:
    try:
        return decode(data)
    except ValueError:
        return None
