"""Replay: applies the records of a log to a state, and counts the usage of each segment.

All changes go through the `apply_*` methods, as those of commands do; only `_new_jobs` does not.

After replay a reserved job is ready. A delayed job whose time has passed becomes ready with the
first tick. Buried jobs are in the order in which they were buried. A paused tube stays until its
pause ends, even if it is empty.
"""

from struct import Struct
from struct import error as StructError
from typing import Final

from beanstalkd_wal import Frame

from beanstalkd_py.binlog.records import (
    DELETE,
    DELETE_STRUCT,
    FULL,
    FULL_STRUCT,
    ID_SHIFT,
    IDS_IN_SEQUENCE,
    IMPORT_BEGIN,
    JOB_STRUCTS,
    MAX_NAME,
    MAX_PLAUSIBLE_ID,
    MOVE,
    NAME_SHIFT,
    NEW,
    NEW_STRUCT,
    SECOND_NS,
    SHORT_STRUCT,
    UPDATE,
    UPDATE_STRUCT,
    Ids,
    Import,
    Move,
    Pause,
    Run,
    TubePolicy,
    decode,
)
from beanstalkd_py.binlog.tubereplay import TubeReplay
from beanstalkd_py.binlog.usage import LENGTH_FIELD, SegmentUsage, Usage
from beanstalkd_py.binlog.withrecords import (
    COUNT,
    FULL_WITH,
    FULL_WITH_STRUCT,
    MOVE_WITH,
    in_memory,
    names_length,
    read,
)
from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.lazyheap import ID_BITS
from beanstalkd_py.queue.memory import JOB_BYTES
from beanstalkd_py.queue.model import BURIED, DELAYED, NEVER, READY, RESERVED, URGENT, new_job
from beanstalkd_py.queue.policy import NO_POLICY
from beanstalkd_py.queue.state import State

_STATES: Final = frozenset((READY, RESERVED, BURIED, DELAYED))
_HEAD: Final = Struct("<H")  # kind and name length of a NEW record
_NOT_CHANGED: Final = (0, 0, 0, 0, 0)  # counters


def _counters(counts: list[int]) -> Counters:
    return counts[0], counts[1], counts[2], counts[3], counts[4]


class BadRecord(Exception):
    """A record with a correct checksum and invalid content.

    segment, offset: of its frame. lsn: of the record. reason: what is wrong.
    """

    def __init__(self, segment: int, offset: int, lsn: int, reason: str) -> None:
        super().__init__(f"LSN {lsn}: {reason}")
        self.segment = segment
        self.offset = offset
        self.lsn = lsn
        self.reason = reason


class Replayer(TubeReplay):
    """Applies frames to `state` in order. Call `finish` after the last one.

    offset: wall clock minus boot time, ns. Times on disk are wall-clock times. now: boot time, ns.
    The wall clock may have been wrong when a record was written, or may be wrong now. So no delay
    and no pause ends later than its whole length from now. With NEVER, times stay as they are on
    disk.
    """

    def __init__(self, state: State, usage: Usage, offset: int, now: int = NEVER) -> None:
        super().__init__(state, usage, offset, now)
        self.records = 0
        self.highest_id = 0
        self.id_bound = (0, 0)  # of the latest IDS record: its segment, and the bound in it
        self.importing = False  # IMPORT phase 1 was read, and phase 2 was not
        self.imported = b""  # JSON of the latest IMPORT record
        # By job id: UPDATE and MOVE records without a record of their job.
        self._orphans: dict[int, BadRecord] = {}

    def apply(self, frame: Frame) -> None:
        """Applies every record of one frame. Raises BadRecord."""
        segment = self.usage.of(frame.segment)
        lengths = frame.lengths
        data = frame.data
        at = frame.start
        done = 0
        while done < len(lengths):
            count = self._new_jobs(data, at, lengths, done, segment)
            at += sum(lengths[done : done + count])
            done += count
            if done < len(lengths):
                lsn = frame.first_lsn + done
                end = at + lengths[done]
                try:
                    if lengths[done] and data[at] in JOB_STRUCTS:
                        self._job(data, at, end, segment)  # without a copy of the record
                    else:
                        self.apply_record(data[at:end], segment, frame, lsn)
                except (ValueError, StructError) as error:
                    raise BadRecord(frame.segment, frame.offset, lsn, str(error)) from error
                at = end
                done += 1
        self.records += len(lengths)

    def _new_jobs(
        self, data: bytes, at: int, lengths: tuple[int, ...], done: int, segment: SegmentUsage
    ) -> int:
        """Applies the NEW records from `at` on, as long as they are of new jobs in one tube.
        Returns their number.

        Does the same as `_job`, but without calls. Most records of a long log are of this kind, so
        they decide how long a start takes. Successive jobs with an equal TTR or creation time share
        the integer, to save memory.
        """
        length = lengths[done]
        if length < NEW_STRUCT.size or data[at] != NEW:
            return 0
        head = _HEAD.unpack_from(data, at)[0]
        name_length = head >> NAME_SHIFT
        name_offset = NEW_STRUCT.size
        body_offset = name_offset + name_length
        name = data[at + name_offset : at + body_offset]
        if not 0 < name_length <= MAX_NAME or len(name) < name_length:
            return 0
        state = self.state
        jobs = state.jobs
        orphans = self._orphans
        tube = state.tubes.get(name) or state.tube(name)
        ready = tube.ready.keys
        ids = segment.ids
        offset = self.offset
        place = segment.new
        unpack = NEW_STRUCT.unpack_from
        highest = self.highest_id
        ttr = tube.ttr
        ttr_s = -1
        created_on_disk, created_at = 0, -offset  # wall clock; boot time, ns
        live = urgent = largest = 0
        start = done
        for index in range(start, len(lengths)):
            length = lengths[index]
            if length < body_offset:
                break
            first, pri, its_ttr_s, its_created = unpack(data, at)
            id = first >> ID_SHIFT
            if (
                first & 0xFFFF != head
                or id in jobs
                or data[at + name_offset : at + body_offset] != name
            ):
                break
            if its_ttr_s != ttr_s:
                ttr_s = its_ttr_s
                if ttr != ttr_s * SECOND_NS:
                    ttr = ttr_s * SECOND_NS
            if its_created != created_on_disk:
                created_on_disk = its_created
                created_at = created_on_disk - offset
            job = new_job(
                id,
                tube,
                READY,
                pri,
                0,
                ttr,
                data[at + body_offset : at + length],
                created_at,
                0,
            )
            jobs.add(id, job)
            job.full_segment = place
            if orphans:
                orphans.pop(id, None)
            ids.append(id)
            ready.append(pri << ID_BITS | id if pri else id)
            if pri < URGENT:
                urgent += 1
            if id > highest:
                highest = id
            if length > largest:
                largest = length
            live += length
            at += length
            done += 1
        count = done - start
        tube.ttr = ttr
        tube.jobs += count
        tube.ready_count += count
        tube.urgent_count += urgent
        state.ready_count += count
        state.urgent_count += urgent
        state.memory.used += live + (JOB_BYTES - body_offset) * count
        self.highest_id = highest
        self.usage.add(segment, live + LENGTH_FIELD * count)
        self.usage.largest = max(self.usage.largest, largest + LENGTH_FIELD)
        return count

    def apply_record(self, record: bytes, segment: SegmentUsage, frame: Frame, lsn: int) -> None:
        """Applies one record of a frame. Raises ValueError or struct.error if it is not valid."""
        kind = record[0] if record else 0
        if kind in JOB_STRUCTS:
            self._job(record, 0, len(record), segment)
        elif kind in (UPDATE, MOVE, MOVE_WITH):
            self._change(record, segment, frame, lsn)
        elif kind == DELETE:
            self._delete(DELETE_STRUCT.unpack(record)[1])
        else:
            decoded = decode(record)
            if isinstance(decoded, Pause):
                self._pause(decoded, segment)
            elif isinstance(decoded, TubePolicy):
                nbytes = len(record) + LENGTH_FIELD
                self._policy(decoded.tube, decoded.policy, segment, nbytes)
            elif isinstance(decoded, Run):
                self._run(decoded, segment, len(record) + LENGTH_FIELD)
            elif isinstance(decoded, Import):
                self._begin_or_end(decoded)
            elif isinstance(decoded, Ids):
                self.id_bound = frame.segment, decoded.bound

    def _job(self, data: bytes, at: int, end: int, segment: SegmentUsage) -> None:
        """A record of a job, in any of its forms: the bytes of `data` from `at` to `end`."""
        # Without a Full object: one million records take 3 s, and 4 s with records.decode.
        kind = data[at]
        name_at = at + JOB_STRUCTS[kind].size
        if name_at > end:
            decode(data[at:end])
        state, delay, deadline_at, counters = READY, 0, 0, _NOT_CHANGED
        attributes = None
        if kind == FULL_WITH:
            _, state, name_length, pri, id, delay, ttr, created_at, deadline_at, *counts = (
                FULL_WITH_STRUCT.unpack_from(data, at)
            )
            attributes = read(counts[-COUNT:], data, name_at + name_length, end)
            counters = _counters(counts)
        elif kind == FULL:
            _, state, name_length, pri, id, delay, ttr, created_at, deadline_at, *counts = (
                FULL_STRUCT.unpack_from(data, at)
            )
            counters = _counters(counts)
        else:
            if kind == NEW:
                first, pri, ttr_s, created_at = NEW_STRUCT.unpack_from(data, at)
            else:
                first, pri, ttr_s, created_at, delay_s, deadline_at, state, *counts = (
                    SHORT_STRUCT.unpack_from(data, at)
                )
                delay = delay_s * SECOND_NS
                counters = _counters(counts)
            id = first >> ID_SHIFT
            name_length = first >> NAME_SHIFT & 0xFF
            ttr = ttr_s * SECOND_NS
        name_end = name_at + name_length
        if state not in _STATES or not 0 < name_length <= MAX_NAME or name_end > end:
            decode(data[at:end])
        state, deadline_at = self._in_memory(state, delay, deadline_at)
        if id > self.highest_id:
            self._count_id(id)
        queue = self.state
        place = segment.place(kind)
        body_at = name_end
        if attributes is not None:
            place = segment.place_with(attributes)
            body_at += names_length(attributes)
            attributes = in_memory(attributes, self.offset)
        created_at -= self.offset
        job = queue.jobs.get(id)
        if job is None:
            tube = queue.tube(data[name_at:name_end])
            job = queue.apply_put(
                id, tube, state, pri, delay, ttr, data[body_at:end], created_at, deadline_at
            )
            if counters != _NOT_CHANGED:
                job.reserves = counters[0]
                job.history = counters
            if self._orphans:
                self._orphans.pop(id, None)
            job.full_segment = place
            segment.ids.append(id)
            nbytes = place.kept(job)
            self.usage.add(segment, nbytes)
            self.usage.grown += place.has_grown
            if nbytes > self.usage.largest:
                self.usage.largest = nbytes
            if attributes is not None:
                queue.set_attributes(job, attributes)
        else:
            queue.apply_change(job, state, pri, delay, deadline_at, counters)
            if data[name_at:name_end] != job.tube.name:  # a repair has lost the MOVE record
                self._move(job, data[name_at:name_end], deadline_at)
            # Differs from the earlier record's if the wall clock was set between the two records.
            job.created_at = created_at
            if attributes is not None or job.tube.guarded:
                queue.set_attributes(job, attributes)
            self.usage.job_written(job, place)

    def _change(self, record: bytes, segment: SegmentUsage, frame: Frame, lsn: int) -> None:
        """An UPDATE, MOVE or MOVE_WITH record."""
        _, state, _, pri, id, delay, deadline_at, *counts = UPDATE_STRUCT.unpack_from(record)
        attributes = None
        if record[0] == MOVE_WITH:
            moved = decode(record)
            assert isinstance(moved, Move)
            name, attributes = moved.tube, moved.attributes
        else:
            name = record[UPDATE_STRUCT.size :]
            if state not in _STATES or len(record) != UPDATE_STRUCT.size:
                decode(record)
        state, deadline_at = self._in_memory(state, delay, deadline_at)
        job = self.state.jobs.get(id)
        if job is None:
            self._orphans[id] = BadRecord(
                frame.segment,
                frame.offset,
                lsn,
                f"job {id} has an UPDATE but no record with its body",
            )
            return
        self.state.apply_change(job, state, pri, delay, deadline_at, _counters(counts))
        self.usage.update_written(job, segment)
        if name:
            self._move(job, name, deadline_at, attributes)

    def _delete(self, id: int) -> None:
        self._orphans.pop(id, None)
        if id > self.highest_id:
            self._count_id(id)
        job = self.state.jobs.get(id)
        if job is not None:
            self.usage.forget(job)
            self.state.remove(job)

    def _count_id(self, id: int) -> None:
        """The next id will be above this one, unless it is implausible: see `MAX_PLAUSIBLE_ID`."""
        if id < MAX_PLAUSIBLE_ID or id - self.highest_id < IDS_IN_SEQUENCE:
            self.highest_id = id

    def _begin_or_end(self, record: Import) -> None:
        if record.phase == IMPORT_BEGIN:
            self._void()
        self.importing = record.phase == IMPORT_BEGIN
        self.imported = record.text

    def _void(self) -> None:
        """Everything that was read so far is void."""
        for job in list(self.state.jobs.values()):
            self._delete(job.id)
        for name, (segment, _) in list(self.usage.pauses.items()):
            tube = self.state.tube(name)
            tube.kept = tube is self.state.default
            self.state.apply_pause(tube, 0, 0)
            self.usage.pause_written(name, segment, 0)
        for name, (segment, _) in list(self.usage.policies.items()):
            self._policy(name, NO_POLICY, segment, 0)
        self._orphans.clear()

    @property
    def orphans(self) -> list[int]:
        """Ids of jobs with an UPDATE record and no record with their body."""
        return sorted(self._orphans)

    def finish(self) -> BadRecord | None:
        """After the last frame. Returns the first UPDATE record without a job, if there is one."""
        state = self.state
        if self.importing:
            self._void()
        for tube in state.tube_list:
            tube.ready.rebuild(tube.ready_count)  # replay only appended keys to it
        state.count_bytes()
        for tube in list(state.tube_list):
            if len(tube.buried) > 1:
                in_order = sorted(tube.buried.values(), key=lambda job: (job.deadline_at, job.id))
                for job in in_order:
                    tube.buried.move_to_end(job.id)
            state.remove_if_unused(tube)
        return min(self._orphans.values(), key=lambda orphan: orphan.lsn, default=None)
