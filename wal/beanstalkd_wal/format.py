"""The bytes of a segment: layout, encode, decode. Pure.

May know: bytes and their checksum. Promises: what encode made, decode gives back; one changed bit
anywhere is seen; zeros are never valid; no length is believed before it was checked against what is
there. The layout never changes without a new VERSION.

A segment is a header block of 1024 bytes, the header in it twice (at 0 and 512), then frames, then
zeros. Numbers are little-endian.

    header copy (512 bytes)                         frame (48 bytes, then the payload)
      0   8  magic                                    0   4  magic
      8   4  format version                           4   4  CRC-32C of bytes 8..48, from the salt
     12   4  flags; bit 0: born unsynced              8   8  first LSN (of its first record, or of the next one to come)
     16   8  segment number                          16   8  durable LSN when it was written: the claim
     24   8  base LSN (of its first record)          24   8  wall time, ns
     32   8  durable LSN when it was born            32   4  number of records
     40   8  log id, random                          36   4  payload length
     48   8  wall time of its birth, ns              40   4  CRC-32C of the payload, from the salt
     56   8  birth id, random                        44   4  zero
     64   8  birth id of the segment before it       48      payload: u32 lengths of the records, then the records
     72   4  metadata length
     76 256  metadata, then zeros
    332 176  zeros
    508   4  CRC-32C of bytes 0..508

The salt is the lower half of the log id: a frame of another log, or one that a client wrote into a
record, is not valid here. The birth ids chain the segments: one that had been cut off and came back
(its removal had not been synced) does not pass for the new one of its number. Magic and version
stand first, at both places, in every version to come: they are looked at before the checksum is.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from beanstalkd_wal.checksum import crc

VERSION = 1

HEADER_BYTES = 1024  # both copies: frames begin here
COPY_BYTES = 512
META_BYTES = 256
FRAME_BYTES = 48  # the header of a frame
LENGTH_BYTES = 4  # of each record, in front of the payload's records
RECORD_BYTES_MAX = (1 << 32) - 64
LAST = (
    (1 << 62) - 1
)  # LSN or segment number that a header may begin with: whatever is counted on from there still fits

SEGMENT_MAGIC = b"\x89WAL\r\n\x1a\n"  # also says when a transfer in text mode spoiled it
FRAME_MAGIC = b"\xf7wF\x91"

UNSYNCED = 1  # flag: the header may have got a name before it was durable (Durability.NEVER)

_COPY = struct.Struct("<8sIIQQQQQQQI256s176x")
_VERSION = struct.Struct("<8sI")
_BODY = struct.Struct("<QQQIIII")
_U32 = struct.Struct("<I")


class Header:
    """What a segment says about itself."""

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
    def unsynced(self) -> bool:
        return bool(self.flags & UNSYNCED)


class Frame:
    """One frame as it was read: what one commit wrote. Without records it is a claim only.

    data: the whole segment. The records lie in it from `start` on, one behind another, of these
    `lengths`; `records` cuts them out when asked.
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
    """The whole header block, both copies."""
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
    """The format version a copy of the header names; 0 if it is no header of any version."""
    if len(copy) < _VERSION.size:
        return 0
    magic, version = _VERSION.unpack_from(copy)
    return int(version) if magic == SEGMENT_MAGIC else 0


def decode_header(copy: bytes) -> Header | str:
    """One copy of the header, or what is wrong with it."""
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
    """Header and payload of a frame, apart, so that whoever writes several joins (and copies) them
    only once.
    """
    count = len(records)
    # Of a client that is alone, each frame has one record.
    lengths = (
        _U32.pack(len(records[0])) if count == 1 else struct.pack(f"<{count}I", *map(len, records))
    )
    payload = b"".join((lengths, *records))
    body = _BODY.pack(first_lsn, durable_lsn, at, count, len(payload), crc(payload, salt), 0)
    return FRAME_MAGIC + _U32.pack(crc(body, salt)) + body, payload


def decode_frame(data: bytes, offset: int, salt: int, segment: int) -> Frame | str:
    """The frame at an offset, or what is wrong with it."""
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
    if crc(data[start:end], salt) != payload_crc:
        return "a payload with a wrong checksum"
    first = start + count * LENGTH_BYTES
    if first > end:
        return "record lengths that do not add up"
    # Most frames of a log with little traffic have one record.
    lengths = (
        _U32.unpack_from(data, start)
        if count == 1
        else struct.unpack_from(f"<{count}I", data, start)
    )
    if sum(lengths) != end - first:
        return "record lengths that do not add up"
    return Frame(segment, offset, end, first_lsn, durable_lsn, at, data, first, lengths)


def decode_claim(data: bytes, offset: int, salt: int) -> tuple[int, int] | None:
    """(first LSN, claim) of a frame whose header is whole, whatever became of its payload."""
    body = data[offset + 8 : offset + FRAME_BYTES]
    if len(body) < _BODY.size or crc(body, salt) != _U32.unpack_from(data, offset + 4)[0]:
        return None
    first_lsn, durable_lsn, *_ = _BODY.unpack(body)
    return first_lsn, durable_lsn
