"""The C server's binlog format: bytes to records and back. Pure: no I/O, and no knowledge of what a
record means for a job.

A file `binlog.N` is an int32 version, then records back to back, then zeros or nothing. The C
server writes its own structs, so the layout is that of its machine. This is the one of x86-64, of
64-bit ARM and of all other little-endian machines except those below:

    version 7 (beanstalkd 1.5 .. 1.13)            version 5 (1.4)

    +---------------------+                       +---------------------+
    | namelen        int32|  0: a SHORT record    | namelen       uint64|
    +---------------------+                       +---------------------+
    | tube name    namelen|  FULL records only    | tube name    namelen|
    +---------------------+                       +---------------------+
    | job               80|                       | job               77|
    +---------------------+                       +---------------------+
    | body       body_size|  FULL records only,   | body       body_size|
    +---------------------+  CRLF at its end      +---------------------+

    job:  0 id u64           32 body_size i32     64 releases u32
          8 pri u32          36 (padding)         68 buries u32
         12 (padding)        40 created_at i64    72 kicks u32
         16 delay i64        48 deadline_at i64   76 state u8
         24 ttr i64          56 reserves u32      77 (padding to 80; version 5 ends here)
                             60 timeouts u32

    32-bit x86 aligns int64 to 4 bytes, so its job has 72 bytes (version 5: 69):

    job:  0 id u64           28 body_size i32     56 releases u32
          8 pri u32          32 created_at i64    60 buries u32
         12 delay i64        40 deadline_at i64   64 kicks u32
         20 ttr i64          48 reserves u32      68 state u8
                             52 timeouts u32      69 (padding to 72; version 5 ends here)

    In version 5, namelen is a size_t: uint32 there.

    state: 0 deleted, 1 ready, 2 reserved, 3 buried, 4 delayed

Times are nanoseconds in version 7 and microseconds in version 5; here they are always nanoseconds.
There is no checksum and no sequence number.
"""

import re
from struct import Struct
from typing import NamedTuple

HEADER = Struct("<i")
BIG_ENDIAN_HEADER = Struct(">i")
VERSION = 7  # the one that is written
MAX_NAME = 200
CRLF = b"\r\n"
MIN_BODY_SIZE = len(CRLF)
MAX_BODY_SIZE = (1 << 30) + len(CRLF)  # -z goes up to 1 GiB
SECOND_NS = 1_000_000_000
MAX_SECONDS_NS = 0xFFFFFFFF * SECOND_NS  # delays and TTRs come as u32 seconds
DEFAULT_SEGMENT_BYTES = 10485760

INVALID = 0  # the state in a delete's record

# Tube names that the C server accepts.
NAME = re.compile(rb"[A-Za-z0-9+/;.$_()][A-Za-z0-9+/;.$_()-]{0,199}")


class Jobrec(NamedTuple):
    """The fixed part of a record."""

    id: int
    pri: int
    delay_ns: int
    ttr_ns: int
    body_size: int  # CRLF included
    created_at_ns: int
    deadline_at_ns: int  # absolute; stale or 0 unless delayed or reserved
    reserves: int
    timeouts: int
    releases: int
    buries: int
    kicks: int
    state: int


class Layout:
    """The layout of records in one version of the format, on one kind of machine.

    padding: where a job has padding that is zero, as (begin, end). candidate: matches where a
    record may begin, and its first byte; for a search.
    """

    def __init__(
        self,
        namelen: Struct,
        jobrec: Struct,
        unit_ns: int,
        what: str,
        state_offset: int,
        padding: tuple[tuple[int, int], ...],
        candidate: bytes,
    ) -> None:
        self.namelen = namelen
        self.jobrec = jobrec
        self.unit_ns = unit_ns
        self.what = what  # the C server's messages have this before the name of the part
        self.short_size = namelen.size + jobrec.size
        self.state_offset = state_offset  # in the job
        self.candidate = re.compile(candidate)
        self._padding = padding

    def decode(self, data: bytes, offset: int) -> Jobrec:
        """The job at this offset. The caller has checked that all its bytes exist."""
        job = Jobrec._make(self.jobrec.unpack_from(data, offset))
        if self.unit_ns == 1:
            return job
        return job._replace(
            delay_ns=job.delay_ns * self.unit_ns,
            ttr_ns=job.ttr_ns * self.unit_ns,
            created_at_ns=job.created_at_ns * self.unit_ns,
            deadline_at_ns=job.deadline_at_ns * self.unit_ns,
        )

    def padding(self, data: bytes, offset: int) -> bytes:
        """The padding bytes of a job, which are zeros in version 7. Empty for version 5, where they
        may have any value.
        """
        return b"".join(data[offset + begin : offset + end] for begin, end in self._padding)


# Candidates: a name length and what follows it. A job id of 0 is the end, and not a record.
_FULL = rb"[\x01-\xc8]\0{3}[A-Za-z0-9+/;.$_()]"
_FULL_64 = rb"[\x01-\xc8]\0{7}[A-Za-z0-9+/;.$_()]"
V7 = Layout(
    Struct("<i"),
    Struct("<QI4xqqi4xqqIIIIIB3x"),
    1,
    "",
    76,
    ((12, 16), (36, 40), (77, 80)),
    rb"(?s)(?=\0{4}(?!\0{8}).{12}\0{4}|" + _FULL + rb").",
)
V5 = Layout(
    Struct("<Q"),
    Struct("<QI4xqqi4xqqIIIIIB"),
    1000,
    "v5 ",
    76,
    (),
    rb"(?s)(?=\0{8}(?!\0{8})|" + _FULL_64 + rb").",
)
_SHORT_OR_FULL = rb"(?s)(?=\0{4}(?!\0{8})|" + _FULL + rb")."
V7_X86 = Layout(Struct("<i"), Struct("<QIqqiqqIIIIIB3x"), 1, "", 68, ((69, 72),), _SHORT_OR_FULL)
V5_X86 = Layout(Struct("<I"), Struct("<QIqqiqqIIIIIB"), 1000, "v5 ", 68, (), _SHORT_OR_FULL)
LAYOUTS = {7: (V7, V7_X86), 5: (V5, V5_X86)}  # by version; the usual one first


def encode_short(job: Jobrec) -> bytes:
    return V7.namelen.pack(0) + V7.jobrec.pack(*job)


def encode_full(tube: bytes, job: Jobrec, body: bytes) -> bytes:
    """`body` without its CRLF; `job.body_size` counts it."""
    return b"".join((V7.namelen.pack(len(tube)), tube, V7.jobrec.pack(*job), body, CRLF))
