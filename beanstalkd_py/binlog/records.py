"""Binlog records: each describes one change of the queue. Pure: bytes to fields and back.

Integers are little-endian. Instants are wall-clock ns since the Unix epoch, durations are ns. A
record does not contain its own length: the log's frame does.

    FULL     kind=1 u8 | state u8 | tube name length u16 | pri u32 | id u64 | delay i64 | ttr i64
             | created_at i64 | deadline_at i64 | reserves u32 | timeouts u32 | releases u32
             | buries u32 | kicks u32 | tube name | body (without CRLF)
    UPDATE   kind=2 u8 | state u8 | 0 u16 | pri u32 | id u64 | delay i64 | deadline_at i64
             | reserves u32 | timeouts u32 | releases u32 | buries u32 | kicks u32
    DELETE   kind=3 u8 | id u64
    PAUSE    kind=4 u8 | 0 u8 | tube name length u16 | pause i64 | until i64 | tube name
    IMPORT   kind=5 u8 | phase u8 | 0 u16 | JSON
    LOST     kind=6 u8
    IDS      kind=7 u8 | id bound u64
    NEW      kind=8 u8 | tube name length u8 | id u48 | pri u32 | ttr in s u32 | created_at i64
             | tube name | body
    SHORT    kind=9 u8 | tube name length u8 | id u48 | pri u32 | ttr in s u32 | created_at i64
             | delay in s u32 | deadline_at i64 | state u8 | reserves u8 | timeouts u8 | releases u8
             | buries u8 | kicks u8 | tube name | body
    MOVE     kind=10 u8, then as UPDATE, with the tube name length in place of 0 | tube name

FULL_WITH and MOVE_WITH are FULL and MOVE of a job with attributes: see `withrecords`. POLICY and
POLICY_WITH: see `policyrecords`. RUN, kind=15 u8 | Unix time in s u64 | name: the latest run of a
schedule, 0 if it is gone.

FULL, NEW and SHORT are three forms of one record: everything about a job. `encode` takes the
shortest form that holds the job's numbers. A NEW record has no state, delay, deadline and counters:
the job is ready, without a delay, and was never changed. FULL holds every number.

`state` is the C server's number: 1 ready, 2 reserved, 3 buried, 4 delayed. `deadline_at` of a
delayed job is the time at which it becomes ready. Of a reserved job it is the end of its TTR. For a
buried job it is not an instant but a number that keeps the order of burying. Otherwise it is 0.
After a restart, a reserved job is ready.

A PAUSE record with pause 0 ends the pause of the tube.

The jobs of an imported log stand between two IMPORT records. The first one (phase 1) makes all
records before it void. The second one (phase 2) says that the import is complete; without it, all
records after the first one are void. The JSON is for the program that imports (see
`foreign.takeover`).

A LOST record stands for a record that was damaged. Only a repair writes it.

An IDS record replaces the id bound in the metadata of its segment: see `ids`.

Version 1 has no IDS records. Version 2 has no NEW and SHORT records, version
3 no MOVE and POLICY records, version 4 no attributes.
"""

from struct import Struct
from struct import error as StructError
from typing import Final, NamedTuple

from beanstalkd_py.binlog.policyrecords import (
    POLICY,
    POLICY_STRUCT,
    POLICY_WITH,
    POLICY_WITH_STRUCT,
    pack,
    unpack,
)
from beanstalkd_py.binlog.withrecords import (
    COUNT,
    FULL_WITH,
    FULL_WITH_STRUCT,
    MOVE_WITH,
    MOVE_WITH_STRUCT,
    names,
    names_length,
    numbers,
    read,
)
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes
from beanstalkd_py.queue.model import DELAYED, READY, RESERVED
from beanstalkd_py.queue.policy import Policy

VERSION: Final = 5
FULL: Final = 1
UPDATE: Final = 2
DELETE: Final = 3
PAUSE: Final = 4
IMPORT: Final = 5
LOST: Final = 6
IDS: Final = 7
RUN: Final = 15
NEW: Final = 8
SHORT: Final = 9
MOVE: Final = 10
KIND_NAMES: Final = {
    FULL: "full", UPDATE: "update", DELETE: "delete", PAUSE: "pause", IMPORT: "import",
    LOST: "lost", IDS: "ids", NEW: "new", SHORT: "short", MOVE: "move", POLICY: "policy",
    FULL_WITH: "full-with", MOVE_WITH: "move-with", POLICY_WITH: "policy-with",
    RUN: "run",
}  # fmt: skip
IMPORT_BEGIN: Final = 1
IMPORT_END: Final = 2

FULL_STRUCT: Final = Struct("<BBHIQqqqq5I")
UPDATE_STRUCT: Final = Struct("<BBHIQqq5I")
# The first field of NEW and SHORT holds kind, name length and id.
NEW_STRUCT = Struct("<QIIq")
SHORT_STRUCT = Struct("<QIIqIq6B")
JOB_STRUCTS: Final = {
    FULL: FULL_STRUCT,
    NEW: NEW_STRUCT,
    SHORT: SHORT_STRUCT,
    FULL_WITH: FULL_WITH_STRUCT,
}
DELETE_STRUCT: Final = Struct("<BQ")
PAUSE_STRUCT: Final = Struct("<BBHqq")
IMPORT_STRUCT: Final = Struct("<BBH")
IDS_STRUCT: Final = Struct("<BQ")
RUN_STRUCT: Final = Struct("<BQ")

MAX_NAME: Final = 200
SECOND_NS: Final = 1_000_000_000
ID_SHIFT: Final = 16  # of the id in the first field of NEW and SHORT
NAME_SHIFT: Final = 8  # of the name length there
LARGEST_SHORT_COUNT: Final = 255
# Larger ids can only come from corruption, for example in an imported binlog of the C server. A job
# keeps such an id, but the next id is not computed from it. Ids that follow the highest plausible
# one are our own.
MAX_PLAUSIBLE_ID: Final = 1 << 63
IDS_IN_SEQUENCE: Final = 1 << 32  # an id that is so near to the highest one before it follows it
LAST_NEXT_ID: Final = 3 << 62  # more than any server reaches


class Full(NamedTuple):
    """Everything about a job: FULL, NEW, SHORT or FULL_WITH. Instants are wall-clock ns, durations
    ns.
    """

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
    attributes: Attributes = NO_ATTRIBUTES


class Update(NamedTuple):
    """All fields of a job that can change. Instants are wall-clock ns, durations ns."""

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


class Move(NamedTuple):
    """The same, of a job that moves to another tube."""

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
    tube: bytes
    attributes: Attributes | None = None  # None: MOVE, which does not change them


class Delete(NamedTuple):
    id: int


class Pause(NamedTuple):
    tube: bytes
    pause: int
    until: int


class TubePolicy(NamedTuple):
    tube: bytes
    policy: Policy


class Run(NamedTuple):
    schedule: bytes
    at: int  # Unix time, s


class Lost(NamedTuple):
    pass


class Import(NamedTuple):
    phase: int
    text: bytes  # JSON


class Ids(NamedTuple):
    bound: int


Record = Run | TubePolicy | Full | Update | Move | Delete | Pause | Import | Lost | Ids


def encode(record: Record) -> bytes:
    """A record's bytes. `journal` and `jobrecord` pack records themselves; tests check that all
    agree.

    A number that is too large for its field becomes the largest one that fits. A counter may be too
    large after a day of releases, another number after an import of damaged files.
    """
    try:
        return _pack(record)
    except StructError:
        return _pack(_limited(record))


def _limited(record: Record) -> Record:
    if not isinstance(record, Full | Update | Move | Pause):
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


_U32: Final = {"pri", "reserves", "timeouts", "releases", "buries", "kicks"}
_I64: Final = {"delay", "ttr", "created_at", "deadline_at", "pause", "until"}


def _pack(record: Record) -> bytes:
    if isinstance(record, Full):
        return _pack_job(record) + record.tube + names(record.attributes) + record.body
    if isinstance(record, Update):
        return UPDATE_STRUCT.pack(UPDATE, record[0], 0, *record[1:])
    if isinstance(record, Move):
        state, *fields, tube, attributes = record
        if attributes is None:
            return UPDATE_STRUCT.pack(MOVE, state, len(tube), *fields) + tube
        head = MOVE_WITH_STRUCT.pack(MOVE_WITH, state, len(tube), *fields, *numbers(attributes))
        return head + tube + names(attributes)
    if isinstance(record, Delete):
        return DELETE_STRUCT.pack(DELETE, record.id)
    if isinstance(record, Lost):
        return bytes((LOST,))
    if isinstance(record, TubePolicy):
        return pack(record.tube, record.policy)
    if isinstance(record, Run):
        return RUN_STRUCT.pack(RUN, record.at) + record.schedule
    if isinstance(record, Ids):
        return IDS_STRUCT.pack(IDS, record.bound)
    if isinstance(record, Import):
        return IMPORT_STRUCT.pack(IMPORT, record.phase, 0) + record.text
    return PAUSE_STRUCT.pack(PAUSE, 0, len(record.tube), record.pause, record.until) + record.tube


def _pack_job(job: Full) -> bytes:
    """The record up to the tube name, in the shortest form."""
    state, pri, id, delay, ttr, created_at, deadline_at, *counts, tube, _, attributes = job
    if attributes != NO_ATTRIBUTES:
        return FULL_WITH_STRUCT.pack(
            FULL_WITH, state, len(tube), pri, id, delay, ttr, created_at, deadline_at, *counts,
            *numbers(attributes),
        )  # fmt: skip
    first = id << ID_SHIFT | len(tube) << NAME_SHIFT
    if id >> 48 or not (_is_short(ttr) and _is_short(delay)) or max(counts) > LARGEST_SHORT_COUNT:
        return FULL_STRUCT.pack(
            FULL, state, len(tube), pri, id, delay, ttr, created_at, deadline_at, *counts
        )
    if state == READY and not delay and not deadline_at and not any(counts):
        return NEW_STRUCT.pack(first | NEW, pri, ttr // SECOND_NS, created_at)
    return SHORT_STRUCT.pack(
        first | SHORT, pri, ttr // SECOND_NS, created_at, delay // SECOND_NS, deadline_at, state,
        *counts,
    )  # fmt: skip


def _is_short(duration: int) -> bool:
    """Whether NEW and SHORT records can hold this duration (ns)."""
    seconds, rest = divmod(duration, SECOND_NS)
    return not rest and 0 <= seconds < 1 << 32


def encode_pause(tube: bytes, pause: int, until: int, offset: int) -> bytes:
    """A PAUSE record. pause: ns; 0 ends the pause. until: boot time, ns. offset: as above."""
    return encode(Pause(tube, pause, until + offset if pause else 0))


def deadline_on_disk(state: int, deadline_at: int, offset: int) -> int:
    """A job's deadline_at as its records hold it: an instant becomes wall-clock time. For a buried
    job it is not an instant, so it stays as it is.
    """
    return deadline_at + offset if state in (DELAYED, RESERVED) else deadline_at


def decode(data: bytes) -> Record:
    """The record with these bytes. Raises ValueError, with the reason, if they are not a record."""
    if not data:
        raise ValueError("empty record")
    kind = data[0]
    if kind == FULL and len(data) >= FULL_STRUCT.size:
        _, state, name_length, *fields = FULL_STRUCT.unpack_from(data)
        name_end = FULL_STRUCT.size + name_length
        _check(state, name_length, name_end <= len(data))
        tube, body = data[FULL_STRUCT.size : name_end], data[name_end:]
        return Full._make((state, *fields, tube, body, NO_ATTRIBUTES))
    if kind == FULL_WITH and len(data) >= FULL_WITH_STRUCT.size:
        _, state, name_length, *fields = FULL_WITH_STRUCT.unpack_from(data)
        name_end = FULL_WITH_STRUCT.size + name_length
        _check(state, name_length, name_end <= len(data))
        attributes = read(fields[-COUNT:], data, name_end, len(data))
        body = data[name_end + names_length(attributes) :]
        tube = data[FULL_WITH_STRUCT.size : name_end]
        return Full._make((state, *fields[:-COUNT], tube, body, attributes))
    if kind == NEW and len(data) >= NEW_STRUCT.size:
        first, pri, ttr, created_at = NEW_STRUCT.unpack_from(data)
        fields = [pri, first >> ID_SHIFT, 0, ttr * SECOND_NS, created_at, 0, 0, 0, 0, 0, 0]
        return _job(READY, fields, data, NEW_STRUCT.size, first)
    if kind == SHORT and len(data) >= SHORT_STRUCT.size:
        first, pri, ttr, created_at, delay, deadline_at, state, *counts = SHORT_STRUCT.unpack_from(
            data
        )
        fields = [pri, first >> ID_SHIFT, delay * SECOND_NS, ttr * SECOND_NS, created_at]
        return _job(state, [*fields, deadline_at, *counts], data, SHORT_STRUCT.size, first)
    if kind == UPDATE and len(data) == UPDATE_STRUCT.size:
        _, state, _, *fields = UPDATE_STRUCT.unpack(data)
        _check(state, 1, True)
        return Update(state, *fields)
    if kind == MOVE and len(data) >= UPDATE_STRUCT.size:
        _, state, name_length, *fields = UPDATE_STRUCT.unpack_from(data)
        _check(state, name_length, UPDATE_STRUCT.size + name_length == len(data))
        return Move._make((state, *fields, data[UPDATE_STRUCT.size :], None))
    if kind == MOVE_WITH and len(data) >= MOVE_WITH_STRUCT.size:
        _, state, name_length, *fields = MOVE_WITH_STRUCT.unpack_from(data)
        name_end = MOVE_WITH_STRUCT.size + name_length
        attributes = read(fields[-COUNT:], data, name_end, len(data))
        _check(state, name_length, name_end + names_length(attributes) == len(data))
        tube = data[MOVE_WITH_STRUCT.size : name_end]
        return Move._make((state, *fields[:-COUNT], tube, attributes))
    if kind == DELETE and len(data) == DELETE_STRUCT.size:
        return Delete(DELETE_STRUCT.unpack(data)[1])
    if kind == PAUSE and len(data) >= PAUSE_STRUCT.size:
        _, _, name_length, pause, until = PAUSE_STRUCT.unpack_from(data)
        _check(1, name_length, PAUSE_STRUCT.size + name_length == len(data))
        return Pause(data[PAUSE_STRUCT.size :], pause, until)
    if kind == IMPORT and len(data) >= IMPORT_STRUCT.size and data[1] in (IMPORT_BEGIN, IMPORT_END):
        return Import(data[1], data[IMPORT_STRUCT.size :])
    if (kind == POLICY and len(data) >= POLICY_STRUCT.size) or (
        kind == POLICY_WITH and len(data) >= POLICY_WITH_STRUCT.size
    ):
        return TubePolicy(*unpack(data))
    if kind == RUN and RUN_STRUCT.size < len(data) <= RUN_STRUCT.size + MAX_NAME:
        return Run(data[RUN_STRUCT.size :], RUN_STRUCT.unpack_from(data)[1])
    if kind == LOST and len(data) == 1:
        return Lost()
    if kind == IDS and len(data) == IDS_STRUCT.size:
        return Ids(IDS_STRUCT.unpack(data)[1])
    raise ValueError(f"no record of kind {kind} has {len(data)} bytes")


def _job(state: int, fields: list[int], data: bytes, size: int, first: int) -> Full:
    """size: of the struct. first: its first field."""
    name_length = first >> NAME_SHIFT & 0xFF
    name_end = size + name_length
    _check(state, name_length, name_end <= len(data))
    tube, body = data[size:name_end], data[name_end:]
    return Full._make((state, *fields, tube, body, NO_ATTRIBUTES))


def _check(state: int, name_length: int, whole: bool) -> None:
    if not 1 <= state <= 4:
        raise ValueError(f"state {state} is none of 1 to 4")
    if not whole or not 1 <= name_length <= MAX_NAME:
        raise ValueError(f"tube name of {name_length} bytes")
