"""The record that compaction writes for a job. See `records` for the three forms."""

from struct import error as StructError

from beanstalkd_py.binlog.records import (
    FULL_STRUCT,
    ID_SHIFT,
    JOB_STRUCTS,
    LARGEST_SHORT_COUNT,
    NAME_SHIFT,
    NEW,
    NEW_STRUCT,
    SECOND_NS,
    SHORT,
    SHORT_STRUCT,
    Full,
    deadline_on_disk,
    encode,
)
from beanstalkd_py.binlog.withrecords import FULL_WITH_STRUCT, on_disk
from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.model import READY, RESERVED, Job


def encode_head(job: Job, offset: int, is_new: bool, is_limited: bool = False) -> bytes:
    """The record of a job as it is now, without the body, which is the end of the record.

    offset: wall clock minus boot time, ns. is_new: no record of the job says that it was changed;
    so the number of its reserves, which have no record, is left out. is_limited: a counter that is
    too large for a SHORT record becomes the largest one that fits.
    """
    name = job.tube.name
    first = job.id << ID_SHIFT | len(name) << NAME_SHIFT
    created_at = job.created_at + offset
    if is_new or (job.state in (READY, RESERVED) and not job.delay and not _was_changed(job)):
        try:
            return NEW_STRUCT.pack(first | NEW, job.pri, whole_seconds(job.ttr), created_at) + name
        except StructError:
            return encode(
                Full(READY, job.pri, job.id, 0, job.ttr, created_at, 0, 0, 0, 0, 0, 0, name, b"")
            )
    deadline_at = deadline_on_disk(job.state, job.deadline_at, offset)
    reserves = job.reserves
    _, timeouts, releases, buries, kicks = job.history
    if is_limited:
        reserves = min(reserves, LARGEST_SHORT_COUNT)
        timeouts = min(timeouts, LARGEST_SHORT_COUNT)
        releases = min(releases, LARGEST_SHORT_COUNT)
        buries = min(buries, LARGEST_SHORT_COUNT)
        kicks = min(kicks, LARGEST_SHORT_COUNT)
    try:
        head = SHORT_STRUCT.pack(
            first | SHORT, job.pri, whole_seconds(job.ttr), created_at, whole_seconds(job.delay),
            deadline_at, job.state, reserves, timeouts, releases, buries, kicks,
        )  # fmt: skip
        return head + name
    except StructError:
        return encode(
            Full(
                job.state, job.pri, job.id, job.delay, job.ttr, created_at, deadline_at, reserves,
                timeouts, releases, buries, kicks, name, b"",
            )
        )  # fmt: skip


def encode_head_with(job: Job, attributes: Attributes, offset: int) -> bytes:
    """The same of a job with attributes, which has a FULL_WITH record."""
    deadline_at = deadline_on_disk(job.state, job.deadline_at, offset)
    _, timeouts, releases, buries, kicks = job.history
    return encode(
        Full(
            job.state, job.pri, job.id, job.delay, job.ttr, job.created_at + offset, deadline_at,
            job.reserves, timeouts, releases, buries, kicks, job.tube.name, b"",
            on_disk(attributes, offset),
        )
    )  # fmt: skip


def _was_changed(job: Job) -> bool:
    return bool(job.reserves) or any(job.history)


def whole_seconds(duration: int) -> int:
    """A duration (ns) in seconds; -1, which no field of a record holds, if it is not whole."""
    return -1 if duration % SECOND_NS else duration // SECOND_NS


def job_head(record: bytes) -> tuple[int, int] | None:
    """Id of the job and offset of the body in a record of a job, in any of its forms. None for
    other records. The end of the record may be missing.
    """
    layout = JOB_STRUCTS.get(record[0] if record else 0)
    if layout is None or len(record) < layout.size:
        return None
    if layout is FULL_STRUCT:
        _, _, name_length, _, id, *_ = layout.unpack_from(record)
        return id, layout.size + name_length
    if layout is FULL_WITH_STRUCT:
        _, _, name_length, _, id, *found = layout.unpack_from(record)
        return id, layout.size + name_length + found[-4] + found[-3]
    first = layout.unpack_from(record)[0]
    return first >> ID_SHIFT, layout.size + (first >> NAME_SHIFT & 0xFF)
