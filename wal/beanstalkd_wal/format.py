"""The bytes of a segment: layout, encode, decode.

Promises: no I/O; decode returns what encode was given; one changed bit anywhere is detected; zeros
are never valid; a length is compared with the bytes that exist before it is used. Each change of
the layout needs a new VERSION.

A segment is a header block of 1024 bytes (two copies of the header, at 0 and 512), then frames,
then zeros. Numbers are little-endian and unsigned. Times are wall-clock ns since 1970, signed: a
clock may be wrong.

    header copy (512 bytes)                      frame (48 bytes, then the payload)
      0   8  magic                                 0   4  magic
      8   4  format version                        4   4  CRC-32C of bytes 8..48, from the salt
     12   4  flags; bit 0: created under NEVER     8   8  first LSN (without records: the next LSN)
     16   8  segment number                       16   8  durable watermark: highest durable LSN
     24   8  base LSN (of its first record)               when the frame was written
     32   8  durable watermark at its creation    24   8  wall time
     40   8  log id, random                       32   4  number of records
     48   8  wall time of its creation            36   4  payload length
     56   8  segment id, random                   40   4  CRC-32C of the payload, from the salt
     64   8  segment id of the previous segment   44   4  zero
     72   4  metadata length                      48      payload: lengths of the records, u32 each,
     76 256  metadata, then zeros                         then the records
    332 176  zeros
    508   4  CRC-32C of bytes 0..508, from 0

The salt is the lower half of the log id. So a frame of another log, or one that a client put into a
record, is not valid here. The segment ids form a chain: each header has the id of the segment
before it. There may be two segments with one number: the first was removed, and a crash undid the
removal because it was not durable. The chain shows which of them is valid. Magic and version keep
their place in every later version, because they are checked before the checksum.

Flag bit 0 tells tools that written records count as promised. Replay ignores it. (In version 0.1, a
log under NEVER did not sync its segments at all.)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from beanstalkd_wal.checksum import crc

VERSION: Final = 1

HEADER_BYTES: Final = 1024  # both copies: frames begin here
COPY_BYTES: Final = 512
META_BYTES: Final = 256
FRAME_BYTES: Final = 48  # the header of a frame
LENGTH_BYTES: Final = 4  # of a record's length; all lengths come before the records of a payload
RECORD_BYTES_MAX: Final = (1 << 32) - 64
# The checksum of a longer range is computed in pieces of this size. Each piece is copied first; one
# copy of all could be a gigabyte.
CRC_BYTES: Final = 256 * 1024
# The highest base LSN and segment number that a header may have. Numbers that count up from there
# still fit into 64 bits.
LAST: Final = (1 << 62) - 1

SEGMENT_MAGIC: Final = b"\x89WAL\r\n\x1a\n"  # like PNG's: a transfer in text mode changes it
FRAME_MAGIC: Final = b"\xf7wF\x91"

CREATED_UNDER_NEVER: Final = 1  # flag: created under Durability.NEVER

_COPY: Final = struct.Struct("<8sIIQQQQqQQI256s176x")
_VERSION: Final = struct.Struct("<8sI")
_BODY: Final = struct.Struct("<QQqIIII")
_U32: Final = struct.Struct("<I")


class Header:
    """A segment's header, decoded. durable_lsn: its watermark. created_at: wall time, ns."""

    __slots__ = (
        "base_lsn",
        "segment_id",
        "created_at",
        "durable_lsn",
        "flags",
        "log_id",
        "meta",
        "number",
        "previous_segment_id",
    )

    def __init__(
        self,
        number: int,
        base_lsn: int,
        durable_lsn: int,
        log_id: int,
        created_at: int,
        segment_id: int,
        previous_segment_id: int,
        meta: bytes = b"",
        flags: int = 0,
    ) -> None:
        self.number = number
        self.base_lsn = base_lsn
        self.durable_lsn = durable_lsn
        self.log_id = log_id
        self.created_at = created_at
        self.segment_id = segment_id
        self.previous_segment_id = previous_segment_id
        self.meta = meta
        self.flags = flags

    @property
    def created_under_never(self) -> bool:
        return bool(self.flags & CREATED_UNDER_NEVER)


class Frame:
    """One frame, decoded. A frame without records holds only a watermark.

    segment: number of its segment; offset, end: of the frame in the segment; at: wall time, ns;
    durable_lsn: its durable watermark; data: bytes of the whole segment, which are in memory as
    long as one of its frames is. The records are in data from `start` on, without gaps; `lengths`
    are their lengths in bytes. `records` copies them at the first access.
    """

    __slots__ = (
        "_records",
        "at",
        "data",
        "durable_lsn",
        "end",
        "first_lsn",
        "lengths",
        "offset",
        "segment",
        "start",
    )

    def __init__(
        self,
        segment: int,
        offset: int,
        end: int,
        first_lsn: int,
        durable_lsn: int,
        at: int,
        data: bytes,
        start: int,
        lengths: tuple[int, ...],
    ) -> None:
        self.segment = segment
        self.offset = offset
        self.end = end
        self.first_lsn = first_lsn
        self.durable_lsn = durable_lsn
        self.at = at
        self.data = data
        self.start = start
        self.lengths = lengths
        self._records: list[bytes] | None = None

    @property
    def records(self) -> list[bytes]:
        if self._records is None:
            at = self.start
            records = []
            for length in self.lengths:
                records.append(self.data[at : at + length])
                at += length
            self._records = records
        return self._records

    @property
    def next_lsn(self) -> int:
        return self.first_lsn + len(self.lengths)


def salt_of(log_id: int) -> int:
    return log_id & 0xFFFFFFFF


def encode_header(header: Header) -> bytes:
    """The header block, both copies. Raises ValueError if the metadata is too long."""
    if len(header.meta) > META_BYTES:
        raise ValueError(f"metadata of {len(header.meta)} bytes: at most {META_BYTES} fit")
    copy = _COPY.pack(
        SEGMENT_MAGIC,
        VERSION,
        header.flags,
        header.number,
        header.base_lsn,
        header.durable_lsn,
        header.log_id,
        header.created_at,
        header.segment_id,
        header.previous_segment_id,
        len(header.meta),
        header.meta,
    )
    copy += _U32.pack(crc(copy, 0))
    return copy + copy


def version_of(copy: bytes) -> int:
    """The format version in a copy of a header; 0 if it is not a header of any version."""
    if len(copy) < _VERSION.size:
        return 0
    magic, version = _VERSION.unpack_from(copy)
    return int(version) if magic == SEGMENT_MAGIC else 0


def decode_header(copy: bytes) -> Header | str:
    """One copy of the header, or a text that says what is wrong with it."""
    if len(copy) < COPY_BYTES:
        return f"{len(copy)} bytes of a header"
    version = version_of(copy)
    if version != VERSION:
        return f"version {version}" if version else "no magic number"
    if crc(copy[: COPY_BYTES - 4], 0) != _U32.unpack_from(copy, COPY_BYTES - 4)[0]:
        return "wrong checksum of the header"
    (
        _,
        _,
        flags,
        number,
        base_lsn,
        durable_lsn,
        log_id,
        created_at,
        segment_id,
        previous_segment_id,
        length,
        meta,
    ) = _COPY.unpack_from(copy)
    if length > META_BYTES:
        return f"metadata of {length} bytes"
    if number > LAST or not 0 < base_lsn <= LAST:
        return f"segment {number} with base LSN {base_lsn}"
    return Header(
        number,
        base_lsn,
        durable_lsn,
        log_id,
        created_at,
        segment_id,
        previous_segment_id,
        meta[:length],
        flags,
    )


def encode_frame(
    first_lsn: int, durable_lsn: int, at: int, records: Sequence[bytes], salt: int
) -> tuple[bytes, bytes]:
    """The header and the payload of a frame.

    Separate, so that the caller can join many frames with one copy. at: wall time, ns.
    """
    count = len(records)
    # Common case: with a single client, each frame has one record.
    lengths = (
        _U32.pack(len(records[0])) if count == 1 else struct.pack(f"<{count}I", *map(len, records))
    )
    payload = b"".join((lengths, *records))
    body = _BODY.pack(first_lsn, durable_lsn, at, count, len(payload), crc(payload, salt), 0)
    return FRAME_MAGIC + _U32.pack(crc(body, salt)) + body, payload


def encode_frame_in_pieces(
    first_lsn: int,
    durable_lsn: int,
    at: int,
    lengths: Sequence[int],
    parts: Sequence[bytes],
    salt: int,
) -> list[bytes]:
    """A frame in pieces, without a copy of a record. lengths: of its records. parts: the bytes of
    the records, divided anywhere. at: wall time, ns.
    """
    count = len(lengths)
    start = struct.pack(f"<{count}I", *lengths)
    payload_crc = crc(start, salt)
    for part in parts:
        payload_crc = crc_of(part, 0, len(part), payload_crc)
    nbytes = len(start) + sum(lengths)
    body = _BODY.pack(first_lsn, durable_lsn, at, count, nbytes, payload_crc, 0)
    return [FRAME_MAGIC + _U32.pack(crc(body, salt)) + body + start, *parts]


def crc_of(data: bytes, start: int, end: int, seed: int) -> int:
    """The checksum of data[start:end]. A short whole is not copied, because there may be no memory
    for a copy.
    """
    if start == 0 and end == len(data) <= CRC_BYTES:
        return crc(data, seed)
    while end - start > CRC_BYTES:
        seed = crc(data[start : start + CRC_BYTES], seed)
        start += CRC_BYTES
    return crc(data[start:end], seed)


def decode_frame(data: bytes, offset: int, salt: int, segment: int) -> Frame | str:
    """The frame at an offset, or a text that says what is wrong there."""
    start = offset + FRAME_BYTES
    if start > len(data):
        return f"the file's end after {max(len(data) - offset, 0)} bytes"
    if data[offset : offset + 4] != FRAME_MAGIC:
        return "no frame"
    body = data[offset + 8 : start]
    if crc(body, salt) != _U32.unpack_from(data, offset + 4)[0]:
        return "a frame header with a wrong checksum"
    first_lsn, durable_lsn, at, count, length, payload_crc, _ = _BODY.unpack(body)
    end = start + length
    if end > len(data):
        return f"the file's end within a frame of {FRAME_BYTES + length} bytes"
    found_crc = (
        crc(data[start:end], salt) if length <= CRC_BYTES else crc_of(data, start, end, salt)
    )
    if found_crc != payload_crc:
        return "a payload with a wrong checksum"
    first = start + count * LENGTH_BYTES
    if first > end:
        return "record lengths that do not add up"
    # Common case: with little traffic, each frame has one record.
    lengths = (
        _U32.unpack_from(data, start)
        if count == 1
        else struct.unpack_from(f"<{count}I", data, start)
    )
    if sum(lengths) != end - first:
        return "record lengths that do not add up"
    return Frame(segment, offset, end, first_lsn, durable_lsn, at, data, first, lengths)


def decode_watermark(data: bytes, offset: int, salt: int) -> tuple[int, int] | None:
    """(first LSN, durable watermark) of a frame; None if its header is damaged.

    The payload is not checked: the header has its own checksum.
    """
    body = data[offset + 8 : offset + FRAME_BYTES]
    if len(body) < _BODY.size or crc(body, salt) != _U32.unpack_from(data, offset + 4)[0]:
        return None
    first_lsn, durable_lsn, *_ = _BODY.unpack(body)
    return first_lsn, durable_lsn
