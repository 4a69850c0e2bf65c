"""The salt of a log whose headers are all lost, from its frames.

A frame holds both its bytes and their checksum. The checksum is linear in the salt, so the salt of
a frame can be computed from its header; the checksum of the payload then confirms it. A client can
put frames with a salt of its own into a body, but a whole frame around them is found first.

Promises: each byte is read a few times at most, whatever the bytes are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from beanstalkd_wal.checksum import crc
from beanstalkd_wal.format import FRAME_BYTES, FRAME_MAGIC, Frame, decode_frame

_SUM_BITS = 32
_PASSES = 8  # payload bytes that are checked, for each byte of a segment

Row = tuple[int, int]  # bits of the sum, and the bits of the seed that flip them


def find_salt(segments: Iterable[bytes]) -> int | None:
    """The salt of the frames that take the most bytes. None if there is no whole frame."""
    found: Counter[int] = Counter()
    for data in segments:
        _count_salts(data, found)
    return found.most_common(1)[0][0] if found else None


def _count_salts(data: bytes, found: Counter[int]) -> None:
    offset = data.find(FRAME_MAGIC)
    left = _PASSES * len(data)
    while 0 <= offset <= len(data) - FRAME_BYTES and left > 0:
        left -= int.from_bytes(data[offset + 36 : offset + 40], "little")
        salt = _salt_at(data, offset)
        frame = decode_frame(data, offset, salt, 0)
        if isinstance(frame, Frame):
            found[salt] += frame.end - offset
            offset = frame.end - 1
        offset = data.find(FRAME_MAGIC, offset + 1)


def _salt_at(data: bytes, offset: int) -> int:
    """The salt with which the frame's header is valid."""
    body = data[offset + 8 : offset + FRAME_BYTES]
    return _seed_for(body, int.from_bytes(data[offset + 4 : offset + 8], "little"))


def _seed_for(body: bytes, wanted: int) -> int:
    """The seed with which the checksum of a frame's body is `wanted`."""
    return _reduced((wanted ^ crc(body, 0), 0), _equations())[1]


@cache
def _equations() -> dict[int, Row]:
    """By the highest bit of the sum.

    Each bit of the seed flips certain bits of the sum, whatever the data and the other bits are. So
    the seed is the solution of 32 linear equations.
    """
    rows: dict[int, Row] = {}
    zeros = bytes(FRAME_BYTES - 8)
    for bit in range(_SUM_BITS):
        row = _reduced((crc(zeros, 1 << bit) ^ crc(zeros, 0), 1 << bit), rows)
        rows[row[0].bit_length()] = row
    return rows


def _reduced(row: Row, rows: dict[int, Row]) -> Row:
    """The row without the bits of the sum that other rows have."""
    flipped, seed = row
    while flipped and flipped.bit_length() in rows:
        other = rows[flipped.bit_length()]
        flipped ^= other[0]
        seed ^= other[1]
    return flipped, seed
