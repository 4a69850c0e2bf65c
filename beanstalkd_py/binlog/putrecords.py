"""The part of the journal that writes the records of new jobs, and reserves ids for them."""

from struct import error as StructError

import beanstalkd_wal as wal

from beanstalkd_py.binlog.compactor import Compactor
from beanstalkd_py.binlog.headroom import LONG_BODY, Headroom
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
    Full,
    Ids,
    deadline_on_disk,
    encode,
)
from beanstalkd_py.binlog.refusals import Refusals
from beanstalkd_py.binlog.tuberecords import TubeRecords
from beanstalkd_py.binlog.usage import LENGTH_FIELD, Place, Usage
from beanstalkd_py.binlog.withrecords import on_disk
from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.memory import MemoryReserve
from beanstalkd_py.queue.model import READY


class PutRecords(TubeRecords):
    """ids: what `log` asks for the metadata of its segments. memory: that of the queue."""

    def __init__(
        self,
        usage: Usage,
        headroom: Headroom,
        compactor: Compactor,
        refusals: Refusals,
        log: Log,
        ids: ReservedIds,
        memory: MemoryReserve,
    ) -> None:
        super().__init__(usage, headroom, compactor, refusals)
        self.log = log
        self.ids = ids
        self._memory = memory
        self._ttr = self._ttr_s = 0  # of the latest put: ns, and the same in seconds

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
