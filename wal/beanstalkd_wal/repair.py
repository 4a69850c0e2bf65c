"""Repair: an operator's explicit act that makes a corrupt log readable again.

May know: files and frames. Promises: `plan` changes nothing; `mend` keeps a copy of every byte it
takes out, synced, before it takes it out; every whole frame is kept, byte for byte, wherever it
stands; a segment is replaced by one rename, so a repair that was stopped can be begun again. Where
LSNs are gone, records of the owner's making (`lost`) stand for them, so the chain of LSNs has no
gap, and what was lost stays visible.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator

from beanstalkd_wal.directory import Directory, Spare
from beanstalkd_wal.errors import NewerVersion, WalError
from beanstalkd_wal.format import (
    COPY_BYTES,
    HEADER_BYTES,
    LAST,
    VERSION,
    Frame,
    Header,
    encode_frame,
    encode_header,
    salt_of,
)
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import (
    candidates,
    damaged_path,
    segment_numbers,
    segment_path,
    spare_numbers,
)
from beanstalkd_wal.reader import Damage, HeaderBlock, highest_watermark, read_header, scan

FRAME_RECORDS = 16 * 1024  # lost records in a frame
# What a log can have lost in one place. Beyond that it is not a gap, but a file that does not
# belong there.
LOST_MAX = 1 << 28  # records
MISSING_MAX = 1 << 16  # segments


class BeyondRepair(WalError):
    """What a repair would have to guess. Nothing was changed."""


class Loss:
    """LSNs `first` to `last` are gone from a place in a segment. last < first: bytes were damaged
    that held no record.
    """

    __slots__ = ("first", "last", "length", "offset", "path", "reason")

    def __init__(
        self, path: str, offset: int, length: int, first: int, last: int, reason: str
    ) -> None:
        self.path = path
        self.offset = offset
        self.length = length  # bytes taken out
        self.first = first
        self.last = last
        self.reason = reason


class Lost:
    """LSNs from `first` to (without) `until`, for which nothing but the owner's record of a loss
    stands: frames, made when they are written.
    """

    __slots__ = ("at", "claim", "first", "until")

    def __init__(self, first: int, until: int, claim: int, at: int) -> None:
        self.first = first
        self.until = until
        self.claim = claim
        self.at = at

    def frames(self, record: bytes, salt: int) -> Iterator[bytes]:
        for first in range(self.first, self.until, FRAME_RECORDS):
            count = min(self.until - first, FRAME_RECORDS)
            yield b"".join(encode_frame(first, self.claim, self.at, [record] * count, salt))


class Segment:
    """How a segment is to be written again: its header, then ranges of the old file and frames made
    anew, in order.
    """

    __slots__ = ("changed", "header", "parts", "path", "taken")

    def __init__(self, path: str, header: Header) -> None:
        self.path = path
        self.header = header
        self.parts: list[tuple[int, int] | bytes | Lost] = []
        self.taken: list[tuple[int, int]] = []  # offset and length of what is left out
        self.changed = False

    def keep(self, frame: Frame) -> None:
        last = self.parts[-1] if self.parts else b""
        if isinstance(last, tuple) and last[1] == frame.offset:
            self.parts[-1] = (last[0], frame.end)
        else:
            self.parts.append((frame.offset, frame.end))


class Plan:
    """What is wrong with a log, and what mending it would do."""

    def __init__(
        self, directory: str, fs: FileSystem, accept: Callable[[bytes], bool], lost: bytes
    ) -> None:
        self.directory = directory
        self.losses: list[Loss] = []
        self.segments: list[Segment] = []  # all of them; those with `changed` are written again
        self._fs = fs
        self._accept = accept
        self.lost = lost
        self._numbers = segment_numbers(fs.list(directory))
        self._blocks = {number: self._header(number) for number in self._numbers}
        headers = [block.header for block in self._blocks.values() if block.header is not None]
        if self._numbers and not headers:
            raise BeyondRepair(
                f"{directory}: no segment has a header that can be read, so no frame can be told from noise"
            )
        self._log_id = headers[0].log_id if headers else 0
        self._expected = 0  # the next LSN; 0: not known yet
        self._claim = 0
        self._at = 0
        self._meta = headers[0].meta if headers else b""  # of a segment whose header is gone
        for number in self._numbers:
            self._segment(number)

    @property
    def changes(self) -> bool:
        return any(segment.changed for segment in self.segments)

    def _header(self, number: int) -> HeaderBlock:
        path = segment_path(self.directory, number)
        block = read_header(self._fs.read(path, HEADER_BYTES), number)
        if block.newer:
            raise NewerVersion(path, block.newer, VERSION)
        return block

    # --- one segment

    def _segment(self, number: int) -> None:
        path = segment_path(self.directory, number)
        data = self._fs.read(path)
        block = self._blocks[number]
        header = self._own(block, path) or self._invented(number, data)
        self._bridge(number, header)
        segment = Segment(path, header)
        if not block.whole:
            at = 0 if block.header is None else block.damaged_at
            self._take(
                segment,
                at,
                HEADER_BYTES if block.header is None else COPY_BYTES,
                block.damage[at > 0],
            )
        self.segments.append(segment)
        self._expected = header.base_lsn
        self._claim = max(self._claim, header.durable_lsn)
        self._at = max(self._at, header.created_at)
        self._meta = header.meta
        self._frames(segment, number, data)

    def _own(self, block: HeaderBlock, path: str) -> Header | None:
        header = block.header
        if header is not None and header.log_id != self._log_id:
            here = f"of log {header.log_id:016x} among those of log {self._log_id:016x}"
            raise BeyondRepair(f"{path}: a segment {here}: move away what does not belong")
        return header

    def _invented(self, number: int, data: bytes) -> Header:
        """Of a segment whose header is gone: what its neighbours and its frames say it was."""
        frames = (
            found for found in scan(data, salt_of(self._log_id), number) if isinstance(found, Frame)
        )
        first = next(frames, None)
        base_lsn = self._expected or (first.first_lsn if first is not None else 1)
        if not 0 < base_lsn <= LAST:
            raise BeyondRepair(
                f"{segment_path(self.directory, number)}: no header, and frames that begin with LSN {base_lsn}"
            )
        segment_id = self._parent_of(number + 1) or self._new_id()
        return Header(
            number,
            base_lsn,
            self._claim,
            self._log_id,
            self._at,
            segment_id,
            self._birth(),
            self._meta,
        )

    def _birth(self) -> int:
        return self.segments[-1].header.segment_id if self.segments else 0

    def _parent_of(self, number: int) -> int:
        block = self._blocks.get(number)
        return (
            block.header.previous_segment_id
            if block is not None and block.header is not None
            else 0
        )

    def _new_id(self) -> int:
        return int.from_bytes(self._fs.urandom(8), "little") or 1

    def _bridge(self, number: int, header: Header) -> None:
        """From the segment before to this one: segments that are missing, LSNs that are, and the
        chain of birth ids.
        """
        if not self.segments:
            return
        if header.base_lsn < self._expected:
            path = segment_path(self.directory, number)
            raise BeyondRepair(
                f"{path}: begins with LSN {header.base_lsn}, but LSN {self._expected - 1} stands before it: one of the two is stale"
            )
        last = self.segments[-1].header.number
        if number - last > MISSING_MAX:
            path = segment_path(self.directory, number)
            raise BeyondRepair(
                f"{path}: {number - last - 1} segments are missing before it: move away what does not belong"
            )
        for missing in range(last + 1, number):
            segment_id = header.previous_segment_id if missing == number - 1 else self._new_id()
            between = Header(
                missing,
                self._expected,
                self._claim,
                self._log_id,
                self._at,
                segment_id,
                self._birth(),
                self._meta,
            )
            self.segments.append(Segment(segment_path(self.directory, missing), between))
            self.segments[-1].changed = True
            self._lose(
                self.segments[-1], HEADER_BYTES, 0, header.base_lsn, "the segment is missing"
            )
        if header.base_lsn > self._expected:
            self._lose(
                self.segments[-1],
                self._end(self.segments[-1]),
                0,
                header.base_lsn,
                "the end of the segment is missing",
            )
        if header.previous_segment_id != self._birth():
            before = self.segments[-1]
            before.header.segment_id = header.previous_segment_id
            before.changed = True

    @staticmethod
    def _end(segment: Segment) -> int:
        return max(
            (part[1] for part in segment.parts if isinstance(part, tuple)), default=HEADER_BYTES
        )

    def _frames(self, segment: Segment, number: int, data: bytes) -> None:
        damage: Damage | None = None
        for found in scan(data, salt_of(self._log_id), number, self._expected):
            if isinstance(found, Damage):
                if damage is None:
                    damage = found  # what follows at once says only that LSNs are missing there
                if found.length:
                    segment.taken.append((found.offset, found.length))
                    segment.changed = True
                continue
            if damage is not None:
                self._lose(segment, damage.offset, damage.length, found.first_lsn, damage.reason)
                damage = None
            self._frame(segment, found)
        if damage is not None:
            # Nothing whole follows here. What a claim speaks of was there; how much more, the next
            # segment tells.
            claim = highest_watermark(data, damage.offset, salt_of(self._log_id), self._expected)
            self._lose(
                segment, damage.offset, damage.length, max(claim + 1, self._expected), damage.reason
            )

    def _frame(self, segment: Segment, frame: Frame) -> None:
        self._expected = frame.next_lsn
        self._claim = max(self._claim, frame.durable_lsn)
        self._at = frame.at
        if all(map(self._accept, frame.records)):
            segment.keep(frame)
            return
        records = [record if self._accept(record) else self.lost for record in frame.records]
        segment.parts.append(
            b"".join(
                encode_frame(
                    frame.first_lsn, frame.durable_lsn, frame.at, records, salt_of(self._log_id)
                )
            )
        )
        segment.taken.append((frame.offset, frame.end - frame.offset))
        segment.changed = True
        for lsn, record in enumerate(frame.records, frame.first_lsn):
            if not self._accept(record):
                self.losses.append(
                    Loss(
                        segment.path,
                        frame.offset,
                        len(record),
                        lsn,
                        lsn,
                        "a record that says nothing",
                    )
                )

    def _take(self, segment: Segment, offset: int, length: int, reason: str) -> None:
        segment.taken.append((offset, length))
        segment.changed = True
        self.losses.append(
            Loss(segment.path, offset, length, self._expected + 1, self._expected, reason)
        )

    def _lose(self, segment: Segment, offset: int, length: int, until: int, reason: str) -> None:
        """LSNs from the expected one up to (without) `until` are gone: lost records take their
        place.
        """
        if until - self._expected > LOST_MAX:
            lost = f"LSN {self._expected} to {until - 1} missing ({reason})"
            raise BeyondRepair(
                f"{segment.path}: at offset {offset} there would be {lost}: no log loses so much in one place"
            )
        self.losses.append(Loss(segment.path, offset, length, self._expected, until - 1, reason))
        segment.changed = True
        if self._expected < until:
            segment.parts.append(Lost(self._expected, until, self._claim, self._at))
            self._expected = until


def plan(
    directory: str | os.PathLike[str],
    *,
    lost: bytes,
    accept: Callable[[bytes], bool] = lambda record: True,
    fs: FileSystem | None = None,
) -> Plan:
    """What a repair would do; reads every byte, one segment at a time, and changes nothing.

    lost: the record that stands for a lost one. accept: whether a whole record says something to
    its owner; one that does not is taken out. Raises NewerVersion, BeyondRepair, OSError.
    """
    return Plan(os.fspath(directory), fs or FileSystem(), accept, lost)


def mend(what: Plan, fs: FileSystem | None = None) -> list[str]:
    """Carries it out; the directory must be locked. Returns the paths of the copies of what was
    taken out. Raises OSError.
    """
    fs = fs or FileSystem()
    spares = spare_numbers(fs.list(what.directory))
    directory = Directory(fs, what.directory, itertools.count(max(spares, default=0) + 1))
    copies: list[str] = []
    try:
        for segment in what.segments:
            if segment.changed:
                copies += _write_again(directory, segment, what.lost)
    finally:
        fs.close(directory.handle)
    return copies


def _write_again(directory: Directory, segment: Segment, lost: bytes) -> list[str]:
    fs = directory.fs
    exists = os.path.basename(segment.path) in fs.list(directory.path)
    data = fs.read(segment.path) if exists else b""
    copies = [
        _keep_aside(directory, segment, data, offset, length) for offset, length in segment.taken
    ]
    directory.sync_names()
    # A spare's name until it is whole: a start that finds it after a kill makes an empty spare of
    # it.
    spare = directory.new_spare()
    _write(fs, spare, encode_header(segment.header))
    for part in segment.parts:
        for piece in _pieces(part, data, lost, salt_of(segment.header.log_id)):
            _write(fs, spare, piece)
    directory.fs.sync(spare.handle)
    fs.close(spare.handle)
    fs.rename(spare.path, segment.path)
    directory.sync_names()
    return copies


def _pieces(
    part: tuple[int, int] | bytes | Lost, data: bytes, lost: bytes, salt: int
) -> Iterable[bytes]:
    if isinstance(part, Lost):
        return part.frames(lost, salt)
    return [part if isinstance(part, bytes) else data[part[0] : part[1]]]


def _write(fs: FileSystem, spare: Spare, data: bytes) -> None:
    fs.write(spare.handle, data, spare.size)
    spare.size += len(data)


def _keep_aside(
    directory: Directory, segment: Segment, data: bytes, offset: int, length: int
) -> str:
    fs = directory.fs
    path = damaged_path(directory.path, segment.header.number, offset)
    names = fs.list(directory.path)
    paths = candidates(path)
    path = next(paths)
    while os.path.basename(path) in names:
        path = next(paths)
    handle = fs.create(path)
    try:
        fs.write(handle, data[offset : offset + length], 0)
        directory.fs.sync(handle)
    finally:
        fs.close(handle)
    return path
