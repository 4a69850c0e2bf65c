"""Replay by the server's own code, with the bodies left on disk.

Promises: `beanstalkd_py.binlog.replay` alone decides what becomes of a job. A job holds the place
of its latest full record instead of its body. A record that cannot be decoded is noted, and replay
goes on.
"""

from __future__ import annotations

import os
from struct import error as StructError

import beanstalkd_wal as wal
from beanstalkd_wal.names import segment_path

from beanstalkd_py.binlog.jobrecord import job_head
from beanstalkd_py.binlog.replay import BadRecord, Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import Job
from beanstalkd_py.queue.queue import Queue

_U64 = (1 << 64) - 1


class Stored:
    """Stands for a body: where its full record is. Its length is the body's.

    The place is one integer, because there may be millions of jobs.
    """

    __slots__ = ("_place", "length")

    def __init__(self, segment: int, offset: int, lsn: int, start: int, length: int) -> None:
        self._place = ((lsn << 64 | segment) << 64 | offset) << 16 | start
        self.length = length

    @property
    def lsn(self) -> int:
        return self._place >> 144

    @property
    def segment(self) -> int:
        return self._place >> 80 & _U64

    @property
    def offset(self) -> int:
        """Of the record, in its segment."""
        return self._place >> 16 & _U64

    @property
    def start(self) -> int:
        """Of the body, in the record."""
        return self._place & 0xFFFF

    def __len__(self) -> int:
        return self.length


def stored(job: Job) -> Stored:
    body: Stored = job.body
    return body


def records_offset(frame: wal.Frame) -> int:
    """Of the frame's first record, in the segment. (`frame.start` is an offset in `frame.data`,
    which need not begin where the segment begins.)
    """
    return frame.end - sum(frame.lengths)


class LightReplayer:
    """Instants of its jobs are wall-clock time: no monotonic clock is involved."""

    def __init__(self) -> None:
        self.state = Queue()
        self.usage = Usage()
        self.bad: list[BadRecord] = []
        self._replayer = Replayer(self.state, self.usage, 0)

    @property
    def highest_id(self) -> int:
        return self._replayer.highest_id

    @property
    def id_bound(self) -> tuple[int, int]:
        return self._replayer.id_bound

    @property
    def importing(self) -> bool:
        """An import has begun and not ended."""
        return self._replayer.importing

    @property
    def orphans(self) -> list[int]:
        """Ids of jobs that have update records, but no full record."""
        return self._replayer.orphans

    def finish(self) -> BadRecord | None:
        """Returns the first update record whose job has no full record, if there is one."""
        return self._replayer.finish()

    def apply(self, frame: wal.Frame) -> None:
        offset = records_offset(frame)
        for lsn, record in enumerate(frame.records, frame.first_lsn):
            self.apply_one(record, frame, lsn, offset)
            offset += len(record)

    def apply_one(self, record: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        """Applies one record of a frame. offset: of the record, in its segment."""
        try:
            self._replayer.apply_record(record, self.usage.of(frame.segment), frame, lsn)
        except (ValueError, StructError) as error:
            self.bad.append(BadRecord(frame.segment, frame.offset, lsn, str(error)))
            return
        head = job_head(record)
        if head is not None:
            id, start = head
            body = Stored(frame.segment, offset, lsn, start, len(record) - start)
            self.state.jobs[id].body = body


class Bodies:
    """Reads bodies from the segments. A context manager: it keeps some segments open."""

    OPEN_FILES = 32

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._handles: dict[int, int] = {}

    def __enter__(self) -> Bodies:
        return self

    def __exit__(self, *_: object) -> None:
        while self._handles:
            os.close(self._handles.popitem()[1])

    def read(self, job: Job, nbytes: int = -1) -> bytes | None:
        """The first nbytes of a job's body, or all of it. None if a server has deleted or reused
        the segment since the job was read.
        """
        place = stored(job)
        wanted = place.length if nbytes < 0 else min(nbytes, place.length)
        end = place.start + wanted
        try:
            data = os.pread(self._handle(place.segment), end, place.offset)
        except FileNotFoundError:
            return None
        head = job_head(data)
        if len(data) < end or head is None or head[0] != job.id:
            return None
        return data[place.start :]

    def _handle(self, segment: int) -> int:
        handle = self._handles.get(segment)
        if handle is None:
            if len(self._handles) >= self.OPEN_FILES:
                os.close(self._handles.pop(next(iter(self._handles))))
            path = segment_path(self._directory, segment)
            handle = self._handles[segment] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return handle
