"""Binlog records: what one record of the log says about the queue. Pure: bytes to fields and back.

All integers little-endian; instants wall-clock ns since the epoch, durations ns. The length of a
record is the log's to keep.

    FULL     kind=1 u8 | state u8 | name length u16 | pri u32 | id u64 | delay i64 | ttr i64 | created_at i64 | deadline_at i64
             | reserves, timeouts, releases, buries, kicks u32 each | tube name | body (without CRLF)
    UPDATE   kind=2 u8 | state u8 | 0 u16 | pri u32 | id u64 | delay i64 | deadline_at i64 | the five counters u32
    DELETE   kind=3 u8 | id u64
    PAUSE    kind=4 u8 | 0 u8 | name length u16 | pause i64 | until i64 | tube name        (pause 0: it is over)
    LOST     kind=6 u8        (stands for a record that was damaged, after a repair)
    IMPORT   kind=5 u8 | phase u8 | 0 u16 | JSON        (phase 1: all before this is void; 2: what came since is whole)

`state` is the C server's number: 1 ready, 2 reserved, 3 buried, 4 delayed. `deadline_at` is the
ready time of a delayed job, the TTR's end of a reserved one, the place in the order of burying of a
buried one, else 0. A reserved job comes back ready.

An import of a foreign log stands between two IMPORT records. Without the second one, nothing behind
the first counts. The JSON is for whoever imports, to know it again: see `takeover`.

A segment's metadata, written when the segment begins:

    record format version u16 | 0 u16 | 0 u32 | next job id u64
"""

from struct import Struct
from struct import error as StructError
from typing import NamedTuple

from beanstalkd_py.queue.model import DELAYED, RESERVED, Job

VERSION = 1
FULL, UPDATE, DELETE, PAUSE, IMPORT, LOST = 1, 2, 3, 4, 5, 6
KIND_NAMES = {
    FULL: "full",
    UPDATE: "update",
    DELETE: "delete",
    PAUSE: "pause",
    IMPORT: "import",
    LOST: "lost",
}
IMPORT_BEGIN, IMPORT_END = 1, 2

FULL_STRUCT = Struct("<BBHIQqqqq5I")
UPDATE_STRUCT = Struct("<BBHIQqq5I")
READY_STRUCT = Struct(
    "<IIQqqqqQQI"
)  # a FULL again, quicker to take apart: kind, state and name length in one, and the counters in three
DELETE_STRUCT = Struct("<BQ")
PAUSE_STRUCT = Struct("<BBHqq")
IMPORT_STRUCT = Struct("<BBH")
META_STRUCT = Struct("<HHIQ")

MAX_NAME = 200
MAX_PLAUSIBLE_ID = (
    1 << 63
)  # no server counts so far. From here on an id is damage, or the C server's damage taken over, and the next id does not follow it


class Full(NamedTuple):
    """Everything about a job."""

    state: int
    pri: int
    id: int
    delay: int
    ttr: int
    created_at: int
    deadline_at: int
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int
    tube: bytes
    body: bytes


class Update(NamedTuple):
    """What has changed about a job: all that can."""

    state: int
    pri: int
    id: int
    delay: int
    deadline_at: int
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int


class Delete(NamedTuple):
    id: int


class Pause(NamedTuple):
    tube: bytes
    pause: int
    until: int


class Lost(NamedTuple):
    pass


class Import(NamedTuple):
    phase: int
    text: bytes  # JSON


Record = Full | Update | Delete | Pause | Import | Lost


def encode(record: Record) -> bytes:
    """A record's bytes. The server's hot path packs by itself (`binlog`); tests hold the two
    together.

    A number that is too large for its field becomes the largest: a count after a day of releases,
    or what was taken over from damaged files.
    """
    try:
        return _pack(record)
    except StructError:
        return _pack(_fitted(record))


def _fitted(record: Record) -> Record:
    if not isinstance(record, Full | Update | Pause):
        return record
    fields = record._asdict()
    sizes = {
        name: (0, (1 << 32) - 1) if name in _U32 else (-1 << 63, (1 << 63) - 1)
        for name in fields
        if name in _U32 | _I64
    }
    return record._replace(
        **{name: min(max(fields[name], low), high) for name, (low, high) in sizes.items()}
    )


_U32 = {"pri", "reserves", "timeouts", "releases", "buries", "kicks"}
_I64 = {"delay", "ttr", "created_at", "deadline_at", "pause", "until"}


def _pack(record: Record) -> bytes:
    if isinstance(record, Full):
        *fields, tube, body = record
        state, *rest = fields
        return FULL_STRUCT.pack(FULL, state, len(tube), *rest) + tube + body
    if isinstance(record, Update):
        return UPDATE_STRUCT.pack(UPDATE, record[0], 0, *record[1:])
    if isinstance(record, Delete):
        return DELETE_STRUCT.pack(DELETE, record.id)
    if isinstance(record, Lost):
        return bytes((LOST,))
    if isinstance(record, Import):
        return IMPORT_STRUCT.pack(IMPORT, record.phase, 0) + record.text
    return PAUSE_STRUCT.pack(PAUSE, 0, len(record.tube), record.pause, record.until) + record.tube


def encode_job(job: Job, offset: int) -> bytes:
    """The FULL record of a job, as the job is now. offset: wall clock minus monotonic clock, ns."""
    name = job.tube.name
    body: bytes = job.body
    created_at = job.created_at + offset
    deadline_at = deadline_on_disk(job.state, job.deadline_at, offset)
    _, timeouts, releases, buries, kicks = job.history
    counts = job.reserves, timeouts, releases, buries, kicks
    try:
        head = FULL_STRUCT.pack(
            FULL, job.state, len(name), job.pri, job.id, job.delay, job.ttr, created_at,
            deadline_at, *counts,
        )  # fmt: skip
        return head + name + body
    except StructError:
        full = Full(
            job.state, job.pri, job.id, job.delay, job.ttr, created_at, deadline_at, *counts,
            name, body,
        )  # fmt: skip
        return encode(full)


def encode_pause(tube: bytes, pause: int, until: int, offset: int) -> bytes:
    """A PAUSE record. pause: ns; 0 ends the pause. until: monotonic ns. offset: as above."""
    return encode(Pause(tube, pause, until + offset if pause else 0))


def deadline_on_disk(state: int, deadline_at: int, offset: int) -> int:
    """A job's deadline_at as its records hold it: an instant becomes wall-clock time. A buried job's
    is a number in the order of burying, and no instant.
    """
    return deadline_at + offset if state in (DELAYED, RESERVED) else deadline_at


def decode(data: bytes) -> Record:
    """The record that `data` is. Raises ValueError, saying why, if it is none."""
    if not data:
        raise ValueError("empty record")
    kind = data[0]
    if kind == FULL and len(data) >= FULL_STRUCT.size:
        _, state, name_length, *fields = FULL_STRUCT.unpack_from(data)
        name_end = FULL_STRUCT.size + name_length
        _check(state, name_length, name_end <= len(data))
        return Full._make((state, *fields, data[FULL_STRUCT.size : name_end], data[name_end:]))
    if kind == UPDATE and len(data) == UPDATE_STRUCT.size:
        _, state, _, *fields = UPDATE_STRUCT.unpack(data)
        _check(state, 1, True)
        return Update(state, *fields)
    if kind == DELETE and len(data) == DELETE_STRUCT.size:
        return Delete(DELETE_STRUCT.unpack(data)[1])
    if kind == PAUSE and len(data) >= PAUSE_STRUCT.size:
        _, _, name_length, pause, until = PAUSE_STRUCT.unpack_from(data)
        _check(1, name_length, PAUSE_STRUCT.size + name_length == len(data))
        return Pause(data[PAUSE_STRUCT.size :], pause, until)
    if kind == IMPORT and len(data) >= IMPORT_STRUCT.size and data[1] in (IMPORT_BEGIN, IMPORT_END):
        return Import(data[1], data[IMPORT_STRUCT.size :])
    if kind == LOST and len(data) == 1:
        return Lost()
    raise ValueError(f"no record of kind {kind} has {len(data)} bytes")


def _check(state: int, name_length: int, whole: bool) -> None:
    if not 1 <= state <= 4:
        raise ValueError(f"state {state} is none of 1 to 4")
    if not whole or not 1 <= name_length <= MAX_NAME:
        raise ValueError(f"tube name of {name_length} bytes")


def encode_meta(next_id: int) -> bytes:
    """A segment's metadata."""
    return META_STRUCT.pack(VERSION, 0, 0, next_id)


def decode_meta(meta: bytes) -> tuple[int, int]:
    """(record format version, next job id). Raises ValueError if it is no metadata; a newer version
    is the caller's to refuse.
    """
    if len(meta) < META_STRUCT.size:
        raise ValueError(f"metadata of {len(meta)} bytes")
    version, _, _, next_id = META_STRUCT.unpack_from(meta)
    if version <= VERSION and next_id > MAX_PLAUSIBLE_ID:
        raise ValueError(f"metadata that gives {next_id} as the next id")
    return version, next_id
