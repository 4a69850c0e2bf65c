"""One segment: what its header says, its frames, and where and how it is damaged.

May know: the bytes of one segment. Promises: everything that is whole is found, also behind damage;
nothing is read twice as two different frames; no more memory is taken than the segment's bytes and
one frame. Judges nothing: whether damage is a torn tail or corruption, `replay` decides, which sees
all segments.
"""

from __future__ import annotations

from collections.abc import Iterator

from beanstalkd_wal.format import (
    COPY_BYTES,
    FRAME_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    VERSION,
    Frame,
    Header,
    decode_claim,
    decode_frame,
    decode_header,
    version_of,
)

_CHUNK = bytes(1 << 16)


class HeaderBlock:
    """Both copies of a header. `header` is the first whole one, None if there is none; `damage[i]`
    is empty for a whole copy.
    """

    __slots__ = ("damage", "header", "newer")

    def __init__(self, header: Header | None, damage: tuple[str, str], newer: int) -> None:
        self.header = header
        self.damage = damage
        self.newer = (
            newer  # the version, if this segment was written by one that is not known here; else 0
        )

    @property
    def whole(self) -> bool:
        return self.header is not None and not any(self.damage)

    @property
    def damaged_at(self) -> int:
        """Offset of the first damaged copy."""
        return 0 if self.damage[0] else COPY_BYTES


def read_header(block: bytes, number: int) -> HeaderBlock:
    """From the first HEADER_BYTES of the segment with this number."""
    copies = (block[:COPY_BYTES], block[COPY_BYTES:HEADER_BYTES])
    headers = []
    damage = []
    for copy in copies:
        found = decode_header(copy)
        if isinstance(found, Header) and found.number != number:
            found = f"the header of segment {found.number}"
        if isinstance(found, Header):
            headers.append(found)
            damage.append("")
        else:
            damage.append(found)
    if not headers:
        newer = max(map(version_of, copies))
        return HeaderBlock(None, (damage[0], damage[1]), newer if newer > VERSION else 0)
    if len(headers) == 2 and copies[0] != copies[1]:
        damage[1] = "a second copy that differs from the first"
    return HeaderBlock(headers[0], (damage[0], damage[1]), 0)


def content_end(data: bytes, start: int = 0) -> int:
    """Where the zeros begin that last to the end; at least start."""
    end = len(data)
    while end - start >= len(_CHUNK) and data[end - len(_CHUNK) : end] == _CHUNK:
        end -= len(_CHUNK)
    first = max(start, end - len(_CHUNK))
    return first + len(data[first:end].rstrip(b"\0"))


class Damage:
    """A range that holds no whole frame; or (length 0) a place where LSNs are missing."""

    __slots__ = ("length", "offset", "reason", "segment")

    def __init__(self, segment: int, offset: int, length: int, reason: str) -> None:
        self.segment = segment
        self.offset = offset
        self.length = length
        self.reason = reason


def scan(
    data: bytes, salt: int, segment: int, expected: int = 0, offset: int = HEADER_BYTES
) -> Iterator[Frame | Damage]:
    """All that is whole and all that is not, in order, to the zeros at the end. For tools: replay
    stops at the first damage.

    expected: the LSN that should come first; 0 if that is not known.
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
                yield Damage(segment, offset, 0, f"LSN {expected} to {found.first_lsn - 1} missing")
            yield found
            expected = found.next_lsn
        offset = found.end


def next_frame(data: bytes, offset: int, salt: int, segment: int) -> int:
    """Offset of the next whole frame at or behind offset; -1 if there is none."""
    offset = data.find(FRAME_MAGIC, offset)
    while offset >= 0 and isinstance(decode_frame(data, offset, salt, segment), str):
        offset = data.find(FRAME_MAGIC, offset + 1)
    return offset


def highest_claim(data: bytes, offset: int, salt: int, expected: int) -> int:
    """The highest durable LSN that frames at or behind offset speak of; 0 if none does.

    A frame's header suffices, as it has a checksum of its own. Frames below expected are left over
    from the file's former life.
    """
    highest = 0
    offset = data.find(FRAME_MAGIC, offset)
    while offset >= 0:
        claim = decode_claim(data, offset, salt)
        if claim is not None and claim[0] >= expected:
            highest = max(highest, claim[1])
        offset = data.find(FRAME_MAGIC, offset + (4 if claim is None else FRAME_BYTES))
    return highest
