"""The jobs as they stood at a moment, although compaction has dropped some of their records since.

May know: a walk that leaves applying to us. Promises: every job shown existed at the moment; what
is not certain about it is said.

Records up to the moment are replayed. Where the log's beginning was dropped, a job of then may be
known only by a whole record that compaction wrote later: it is taken from there, with the latest
update up to the moment on top. If no such update is left, and the job was updated between the
moment and that record, or its delay may have ended, nobody knows any more how it stood: it is shown
as it was later, and listed in `uncertain`. Of a job that was deleted before it was written again
only the number is left: `lost` counts those.
"""

from __future__ import annotations

import beanstalkd_wal as wal

from beanstalkd_binlog.entry import next_id_of
from beanstalkd_binlog.fields import COUNTERS
from beanstalkd_binlog.light import offset_of
from beanstalkd_binlog.segment import Gap
from beanstalkd_binlog.walk import Walk
from beanstalkd_py.binlog.records import Delete, Full, Import, Record, Update, decode
from beanstalkd_py.queue.model import READY, RESERVED


class Moment:
    """Until where records count: an LSN, an instant (ns), or all."""

    def __init__(self, lsn: int | None = None, at: int | None = None) -> None:
        self.lsn = lsn
        self.at = at

    def takes(self, frame: wal.Frame) -> int:
        """How many of the frame's records belong to it."""
        if self.at is not None:
            return len(frame.records) if frame.at <= self.at else 0
        if self.lsn is not None:
            return max(0, min(len(frame.records), self.lsn - frame.first_lsn + 1))
        return len(frame.records)

    @property
    def is_now(self) -> bool:
        return self.lsn is None and self.at is None


class Past:
    """`replayer` holds the jobs of the moment when `read` is through."""

    def __init__(self, walk: Walk, moment: Moment) -> None:
        self._walk = walk
        self._moment = moment
        self.replayer = walk.replayer
        self.at = moment.at or 0  # the instant it was
        self.uncertain: set[int] = set()
        self.lost = 0
        self._began = False
        self._over = False  # the moment is behind us
        self._updates: dict[int, bytes] = {}  # the latest of jobs nobody has seen whole
        self._changed: set[int] = set()  # jobs nobody has seen whole, updated since
        # when the segment of the moment began: whole jobs from this id on were seen, or came later
        self._next_id = 1
        self.before_log = False  # the moment is so early that the log knows nothing of it

    def read(self) -> None:
        for found in self._walk:
            if isinstance(found, Gap) and not self._over:
                self.replayer = self._walk.replayer
                self._updates.clear()
            elif isinstance(found, wal.Frame) and not self._frame(found):
                break
        self.before_log = not self._began and not self._knows_all()
        self.replayer.finish()
        self.replayer.state.tick(self.at)

    def _frame(self, frame: wal.Frame) -> bool:
        """False when nothing behind it can matter."""
        count = 0 if self._over else self._moment.takes(frame)
        if count:
            self._began = True
            self._next_id = max(
                self._next_id, next_id_of(self._walk.reading.segments[frame.segment].meta)
            )
        offset = offset_of(frame)
        for index, data in enumerate(frame.records):
            if index < count:
                self._before(data, frame, frame.first_lsn + index, offset)
                self.at = max(self.at, frame.at) if self._moment.at is None else self.at
            else:
                self._over = True
                if self._knows_all() or not self._behind(
                    data, frame, frame.first_lsn + index, offset
                ):
                    return False
            offset += len(data)
        return True

    def _knows_all(self) -> bool:
        """Nothing was dropped: all jobs of the moment are known."""
        segments = self._walk.reading.segments
        return not segments or segments[min(segments)].base_lsn <= 1

    def _before(self, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        self.replayer.apply_one(data, frame, lsn, offset)
        record = _decoded(data)
        if isinstance(record, Update) and record.id not in self.replayer.state.jobs:
            self._updates[record.id] = data

    def _behind(self, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> bool:
        """A record of later: what does it say about then? False if that was the last word."""
        record = _decoded(data)
        if isinstance(record, Import):
            return False
        if not isinstance(record, (Full, Update, Delete)) or record.id in self.replayer.state.jobs:
            return True
        if record.id >= self._next_id:
            return True  # put later
        if isinstance(record, Update):
            self._changed.add(record.id)
        elif isinstance(record, Delete):
            self.lost += 1
        else:
            self._take(record, data, frame, lsn, offset)
        return True

    def _take(self, record: Full, data: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        self.replayer.apply_one(data, frame, lsn, offset)
        update = self._updates.pop(record.id, None)
        if update is not None:
            self.replayer.apply_one(update, frame, lsn, offset)
        elif record.id in self._changed or self._may_have_waited(record):
            self.uncertain.add(record.id)

    def _may_have_waited(self, record: Full) -> bool:
        """Ready when it was written again, but perhaps delayed then: the end of a delay is not
        logged.
        """
        if record.state not in (READY, RESERVED) or not record.delay:
            return False
        return record.created_at + record.delay > self.at or any(
            getattr(record, name) for name in COUNTERS
        )


def _decoded(data: bytes) -> Record | None:
    try:
        return decode(data)
    except ValueError:
        return None
