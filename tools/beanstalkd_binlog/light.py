"""Replay by the server's own code (law 1), but with the bodies left on disk: jobs keep where their
latest whole record is.

May know: records and the engine's state. Promises: what becomes of a job is decided in
`beanstalkd_py.replay`, never here; a record that says nothing is noted, and the next one read.
"""

from __future__ import annotations

import os
from struct import Struct
from struct import error as StructError

import beanstalkd_wal as wal
from beanstalkd_wal.names import segment_path

from beanstalkd_py.binlog.records import FULL, FULL_STRUCT
from beanstalkd_py.binlog.replay import BadRecord, Replayer
from beanstalkd_py.binlog.usage import Usage
from beanstalkd_py.queue.model import Job
from beanstalkd_py.queue.state import State

_U64 = (1 << 64) - 1
_NAME_AND_ID = Struct("<2xH4xQ")  # of a FULL record


class Stored:
    """In the place of a body: where the FULL record is. Its length is the body's. One integer, as
    there may be millions.
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


def offset_of(frame: wal.Frame) -> int:
    """Of its first record, in the file."""
    return frame.start


class LightReplayer:
    """Times in its jobs are wall-clock: there is no monotonic clock to translate to."""

    def __init__(self) -> None:
        self.state = State()
        self.usage = Usage()
        self.bad: list[BadRecord] = []
        self._whole = Replayer(self.state, self.usage, 0)

    @property
    def highest_id(self) -> int:
        return self._whole.highest_id

    @property
    def importing(self) -> bool:
        """Inside an import that has not ended."""
        return self._whole.importing

    @property
    def orphans(self) -> list[int]:
        """Ids of jobs that were updated, but whose FULL record was never seen."""
        return self._whole.orphans

    def finish(self) -> BadRecord | None:
        """Returns the first update whose job is missing, if any."""
        return self._whole.finish()

    def apply(self, frame: wal.Frame) -> None:
        offset = offset_of(frame)
        for lsn, record in enumerate(frame.records, frame.first_lsn):
            self.apply_one(record, frame, lsn, offset)
            offset += len(record)

    def apply_one(self, record: bytes, frame: wal.Frame, lsn: int, offset: int) -> None:
        """One record of a frame, at this offset in the file."""
        try:
            self._whole.apply_record(record, self.usage.of(frame.segment), frame, lsn)
        except (ValueError, StructError) as error:
            self.bad.append(BadRecord(frame.segment, frame.offset, lsn, str(error)))
            return
        if record[0] == FULL:
            name_length, id = _NAME_AND_ID.unpack_from(record)
            start = FULL_STRUCT.size + name_length
            body = Stored(frame.segment, offset, lsn, start, len(record) - start)
            self.state.jobs[id].body = body


class Bodies:
    """Reads bodies from where they are stored. Use as a context."""

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
        """The first nbytes of a job's body, or all of it; None if a server has given up the segment
        since.
        """
        place = stored(job)
        want = place.length if nbytes < 0 else min(nbytes, place.length)
        try:
            data = os.pread(self._handle(place.segment), place.start + want, place.offset)
        except FileNotFoundError:
            return None
        if (
            len(data) < place.start + want
            or data[0] != FULL
            or FULL_STRUCT.unpack_from(data)[4] != job.id
        ):
            return None
        return data[place.start :]

    def _handle(self, segment: int) -> int:
        handle = self._handles.get(segment)
        if handle is None:
            if len(self._handles) >= self.OPEN_FILES:
                os.close(self._handles.pop(next(iter(self._handles))))
            handle = self._handles[segment] = os.open(
                segment_path(self._directory, segment), os.O_RDONLY | os.O_CLOEXEC
            )
        return handle
