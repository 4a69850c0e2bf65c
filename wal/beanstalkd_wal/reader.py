"""One segment: its header, its frames, and its damage.

Promises: every whole frame is found, also after damage. No byte is read as part of two frames.
Memory is used for the segment's bytes and one frame. This module does not decide whether damage is
a torn tail or corruption, because that depends on the other segments (`replay`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from beanstalkd_wal.format import (
    COPY_BYTES,
    FRAME_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    VERSION,
    Frame,
    Header,
    decode_frame,
    decode_header,
    decode_watermark,
    version_of,
)

_CHUNK: Final = bytes(1 << 16)


class HeaderBlock:
    """Both copies of a header.

    header: from the first whole copy; None if there is none. damage: per copy, what is wrong with
    it ("" if it is whole). newer: the format version if it is newer than VERSION, else 0. other:
    if there is no header, a whole one of another segment, or None.
    """

    __slots__ = ("damage", "header", "newer", "other")

    def __init__(
        self,
        header: Header | None,
        damage: tuple[str, str],
        newer: int,
        other: Header | None = None,
    ) -> None:
        self.header = header
        self.damage = damage
        self.newer = newer
        self.other = other

    @property
    def whole(self) -> bool:
        return self.header is not None and not any(self.damage)

    @property
    def damaged_offset(self) -> int:
        """Offset of the first damaged copy."""
        return 0 if self.damage[0] else COPY_BYTES


def read_header(block: bytes, number: int) -> HeaderBlock:
    """Decodes the first HEADER_BYTES of the segment with this number."""
    copies = (block[:COPY_BYTES], block[COPY_BYTES:HEADER_BYTES])
    first, second = (_header_copy(copy, number) for copy in copies)
    damage = (
        first if isinstance(first, str) else "",
        second if isinstance(second, str) else "",
    )
    if isinstance(first, Header):
        if isinstance(second, Header) and copies[0] != copies[1]:
            damage = ("", "a second copy that differs from the first")
        return HeaderBlock(first, damage, 0)
    if isinstance(second, Header):
        return HeaderBlock(second, damage, 0)
    newest = max(map(version_of, copies))
    others = (found for found in map(decode_header, copies) if isinstance(found, Header))
    return HeaderBlock(None, damage, newest if newest > VERSION else 0, next(others, None))


def _header_copy(copy: bytes, number: int) -> Header | str:
    found = decode_header(copy)
    if isinstance(found, Header) and found.number != number:
        return f"the header of segment {found.number}"
    return found


def wrong_names(blocks: Mapping[int, HeaderBlock], log_id: int) -> Iterator[tuple[int, int, bool]]:
    """Files with the header of another segment of the log: the number in the file's name, that of
    the segment, and whether the file is a copy, because the segment has its own file too.

    Otherwise the file must be renamed, and the right name is free or that of such a file too.
    log_id: 0 if it is unknown, because no file has its own header.
    """
    for number, block in blocks.items():
        other = block.other
        if other is None or log_id not in (0, other.log_id):
            continue
        same = blocks.get(other.number)
        if same is None or same.other is not None:
            yield number, other.number, False
        elif same.header is not None and same.header.segment_id == other.segment_id:
            yield number, other.number, True


def content_end(data: bytes, start: int = 0) -> int:
    """Offset at which the zeros at the end of data begin; at least start."""
    end = len(data)
    while end - start >= len(_CHUNK) and data[end - len(_CHUNK) : end] == _CHUNK:
        end -= len(_CHUNK)
    first = max(start, end - len(_CHUNK))
    return first + len(data[first:end].rstrip(b"\0"))


class Damage:
    """A range of a segment without a whole frame of the expected LSN. With length 0: a place where
    LSNs are missing.
    """

    __slots__ = ("length", "offset", "reason", "segment")

    def __init__(self, segment: int, offset: int, length: int, reason: str) -> None:
        self.segment = segment
        self.offset = offset
        self.length = length
        self.reason = reason


def scan(
    data: bytes, salt: int, segment: int, expected: int = 0, offset: int = HEADER_BYTES
) -> Iterator[Frame | Damage]:
    """Yields whole frames and damage in order, up to the zeros at the end.

    For tools; replay stops at the first damage. expected: the first LSN, 0 if it is unknown.
    """
    end = content_end(data, offset)
    while offset < end:
        found = decode_frame(data, offset, salt, segment)
        if isinstance(found, str):
            after = next_frame(data, offset + 1, salt, segment)
            yield Damage(segment, offset, (after if after >= 0 else end) - offset, found)
            if after < 0:
                return
            offset = after
            continue
        if expected and found.first_lsn < expected:
            yield Damage(
                segment,
                offset,
                found.end - offset,
                f"a stale frame, LSN {found.first_lsn} where {expected} was due",
            )
        else:
            if expected and found.first_lsn > expected:
                missing = lsn_range(expected, found.first_lsn - 1)
                yield Damage(segment, offset, 0, f"{missing} missing")
            yield found
            expected = found.next_lsn
        offset = found.end


def lsn_range(first: int, last: int) -> str:
    """`LSN 4`, `LSN 4 to 9`: for messages."""
    return f"LSN {first} to {last}" if last > first else f"LSN {first}"


def next_frame(data: bytes, offset: int, salt: int, segment: int) -> int:
    """Offset of the next whole frame at or after offset; -1 if there is none."""
    offset = data.find(FRAME_MAGIC, offset)
    while offset >= 0 and isinstance(decode_frame(data, offset, salt, segment), str):
        offset = data.find(FRAME_MAGIC, offset + 1)
    return offset


def highest_watermark(data: bytes, offset: int, salt: int, expected: int) -> int:
    """The highest durable watermark in frames at or after offset; 0 if there is none.

    Only the frame's header must be valid. Frames with an LSN below `expected` are skipped: they are
    left from an earlier use of the file.
    """
    highest = 0
    offset = data.find(FRAME_MAGIC, offset)
    while offset >= 0:
        found = decode_watermark(data, offset, salt)
        if found is not None and found[0] >= expected:
            highest = max(highest, found[1])
        offset = data.find(FRAME_MAGIC, offset + (4 if found is None else FRAME_BYTES))
    return highest
