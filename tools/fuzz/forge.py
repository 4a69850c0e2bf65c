"""Forges logs: fields have impossible values, but right checksums.

So the code that runs after the checksums are verified is tested.

The layout is defined here a second time, so that a mistake in the format module is noticed.
"""

from __future__ import annotations

import struct
from random import Random

from beanstalkd_wal.checksum import crc

from .logs import Files
from .mutate import NUMBERS, mutated

HEADER = struct.Struct("<8sIIQQQQQQQI256s176x")
BODY = struct.Struct("<QQQIIII")
RECORD_STARTS = [bytes((kind,)) for kind in range(17)]
FRAMES_AT = 1024


def forged(rng: Random, files: Files) -> Files:
    after = dict(files)
    if rng.random() < 0.1:
        shift = rng.choice(NUMBERS) - rng.choice((0, 1, 1, rng.randrange(300)))
        after = {name: _shifted(data, shift) for name, data in after.items()}
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(sorted(after))
        forge = rng.choice((_header, _frame_header, _records, _records, _records, _new_frames))
        if len(after[name]) > FRAMES_AT + 48:
            after[name] = forge(rng, after[name])
    return after


def _shifted(data: bytes, shift: int) -> bytes:
    """The same segment with all LSNs increased by `shift`."""
    if len(data) < FRAMES_AT:
        return data
    fields = list(HEADER.unpack_from(data))
    fields[4:6] = [(lsn + shift) % (1 << 64) for lsn in fields[4:6]]
    copy = HEADER.pack(*fields)
    copy += struct.pack("<I", crc(copy, 0))
    made = copy + copy
    for start, end in _frames(data):
        numbers = list(BODY.unpack_from(data, start + 8))
        numbers[:2] = [(lsn + shift) % (1 << 64) for lsn in numbers[:2]]
        made += _sealed(numbers, data[start + 48 : end], _salt(data))
    return made + data[len(made) :]


def _salt(data: bytes) -> int:
    return int.from_bytes(data[40:44], "little")


def _header(rng: Random, data: bytes) -> bytes:
    fields = list(HEADER.unpack_from(data))
    which = rng.randrange(1, 12)
    if which == 11:
        fields[which] = rng.choice(
            (
                b"",
                rng.randbytes(256),
                struct.pack("<HHIQ", rng.choice((0, 1, 2, 3)), 0, 0, rng.choice(NUMBERS)),
            )
        )
        fields[10] = rng.choice((16, len(fields[which])))
    else:
        top = 1 << (32 if which in (1, 2, 10) else 64)
        fields[which] = _other(rng, fields[which], top)
    return _with_header(rng, data, HEADER.pack(*fields))


def _with_header(rng: Random, data: bytes, copy: bytes) -> bytes:
    copy += struct.pack("<I", crc(copy, 0))
    both = rng.choice((copy + copy, copy + data[512:1024], data[:512] + copy))
    return both + data[FRAMES_AT:]


def _other(rng: Random, value: int, top: int) -> int:
    return (
        rng.choice((value + 1, value - 1, value + 1000, rng.choice(NUMBERS), rng.randrange(top)))
        % top
    )


def _frames(data: bytes) -> list[tuple[int, int]]:
    """The start and end of each complete frame."""
    found = []
    at = FRAMES_AT
    while len(data) - at >= 48 and data[at] == 0xF7:
        end = at + 48 + int.from_bytes(data[at + 36 : at + 40], "little")
        found.append((at, end))
        at = end
    return found


def _sealed(fields: list[int], payload: bytes, salt: int) -> bytes:
    fields[5] = crc(payload, salt)
    body = BODY.pack(*fields)
    return b"\xf7wF\x91" + struct.pack("<I", crc(body, salt)) + body + payload


def _change_frame(rng: Random, data: bytes, change: str) -> bytes:
    frames = _frames(data)
    if not frames:
        return data
    start, end = rng.choice(frames)
    fields = list(BODY.unpack_from(data, start + 8))
    payload = data[start + 48 : end]
    if change == "header":
        which = rng.randrange(7)
        fields[which] = _other(rng, fields[which], 1 << (64 if which < 3 else 32))
        if rng.random() < 0.5:
            fields[5] = crc(payload, _salt(data))
            body = BODY.pack(*fields)
            made = (
                data[start : start + 4] + struct.pack("<I", crc(body, _salt(data))) + body + payload
            )
            return data[:start] + made + data[end:]
    else:
        payload = _changed_records(rng, payload, fields)
        fields[4] = len(payload)
    return data[:start] + _sealed(fields, payload, _salt(data)) + data[end:]


def _frame_header(rng: Random, data: bytes) -> bytes:
    return _change_frame(rng, data, "header")


def _records(rng: Random, data: bytes) -> bytes:
    return _change_frame(rng, data, "records")


def _changed_records(rng: Random, payload: bytes, fields: list[int]) -> bytes:
    """Sets fields[3], the number of records."""
    count = fields[3]
    if rng.random() < 0.1 or 4 * count > len(payload):
        return mutated(rng, payload)
    lengths = struct.unpack_from(f"<{count}I", payload)
    at = 4 * count
    records = []
    for length in lengths:
        records.append(payload[at : at + length])
        at += length
    which = rng.randrange(len(records) + 1)
    records[which : which + 1] = rng.choice(
        ([], [record(rng, records)], [record(rng, records) for _ in range(20)], [b""] * 3)
    )
    fields[3] = len(records)
    return struct.pack(f"<{len(records)}I", *map(len, records)) + b"".join(records)


def record(rng: Random, others: list[bytes]) -> bytes:
    """A record that is almost valid."""
    if others and rng.random() < 0.8:
        other = rng.choice(others)
        return (
            _with_field(rng, other)
            if rng.random() < 0.6
            else mutated(rng, other, rng.choice((1, 1, 2)))
        )
    return rng.choice(RECORD_STARTS) + rng.choice(
        (rng.randbytes(rng.randrange(120)), bytes(rng.randrange(120)))
    )


FIELDS = {
    1: "BBHIQqqqq5I",
    2: "BBHIQqq5I",
    3: "BQ",
    4: "BBHqq",
    5: "BBH",
    7: "BQ",
    8: "BBHIIIq",  # the id has 48 bits: H and I
    9: "BBHIIIqIqBBBBBB",
    10: "BBHIQqq5I",
    11: "BBHI",
    12: "BBHIQqqqq5IBBBBIq",
    13: "BBHIQqq5IBBBBIq",
    14: "BBHIIIQQ",
    15: "BQ",
}  # by kind: see beanstalkd_py.binlog.records


def _with_field(rng: Random, record: bytes) -> bytes:
    """Changes the value of one field."""
    layout = FIELDS.get(record[0] if record else 0)
    if layout is None or len(record) < struct.calcsize("<" + layout):
        return record
    fields = list(struct.unpack_from("<" + layout, record))
    which = rng.randrange(1, len(fields))
    kind = (layout.replace("5I", "IIIII"))[which]
    bits = 8 * struct.calcsize("<" + kind)
    value = _other(rng, fields[which], 1 << bits)
    fields[which] = value - (1 << bits) if kind == "q" and value >> (bits - 1) else value
    return struct.pack("<" + layout, *fields) + record[struct.calcsize("<" + layout) :]


def _new_frames(rng: Random, data: bytes) -> bytes:
    """Appends frames: wrong watermarks, lengths of gigabytes, and copies."""
    frames = _frames(data)
    end = frames[-1][1] if frames else FRAMES_AT
    fields = list(BODY.unpack_from(data, frames[-1][0] + 8)) if frames else [1, 0, 0, 0, 0, 0, 0]
    made = b""
    for _ in range(rng.choice((1, 3, 30))):
        fields[0] = (fields[0] + fields[3]) % (1 << 64)
        fields[1] = rng.choice((fields[0], 0, rng.choice(NUMBERS)))
        fields[3], fields[4] = rng.choice(
            ((0, 0), (0, 0), (1, 0xFFFFFFF0), (0xFFFFFFFF, 4), (0, 5))
        )
        payload = rng.choice((b"", b"", rng.randbytes(60)))
        made += _sealed(list(fields), payload, _salt(data))
    return data[:end] + made + data[end:]
