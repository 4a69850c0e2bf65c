"""What a repair would do: which segments it would write again, and what is lost.

Promises: planning changes nothing. Every whole frame is kept, byte for byte, wherever it stands.
Where LSNs are lost, records that the owner supplies (`lost`) take their places. So the sequence of
LSNs has no gap, and the loss stays visible. If two servers have written to the directory, one
branch of the log is kept as a whole (see `branches`). Where a repair would have to guess,
BeyondRepair is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from beanstalkd_wal.branches import Aside, BeyondRepair, Branches
from beanstalkd_wal.errors import NewerVersion, WrongName
from beanstalkd_wal.format import (
    COPY_BYTES,
    HEADER_BYTES,
    LAST,
    VERSION,
    Frame,
    Header,
    encode_frame,
    salt_of,
)
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import segment_numbers, segment_path
from beanstalkd_wal.reader import (
    Damage,
    HeaderBlock,
    content_end,
    highest_watermark,
    lsn_range,
    read_header,
    scan,
    wrong_names,
)
from beanstalkd_wal.salvage import find_salt

FRAME_RECORDS = 16 * 1024  # lost records per frame
# The most that a log can lose in one place. A file that implies a larger loss is taken for a file
# of another log.
LOST_MAX = 1 << 28  # records
MISSING_MAX = 1 << 16  # segments


class Loss:
    """LSNs `first` to `last` are lost at a place of a segment, where `length` bytes are taken out.

    last < first: the damaged bytes held no record.
    """

    __slots__ = ("first", "last", "length", "offset", "path", "reason")

    def __init__(
        self, path: str, offset: int, length: int, first: int, last: int, reason: str
    ) -> None:
        self.path = path
        self.offset = offset
        self.length = length
        self.first = first
        self.last = last
        self.reason = reason


class LostRecords:
    """Stands for the LSNs from `first` to `until` - 1. Their frames are encoded only when they are
    written.
    """

    __slots__ = ("at", "first", "until", "watermark")

    def __init__(self, first: int, until: int, watermark: int, at: int) -> None:
        self.first = first
        self.until = until
        self.watermark = watermark
        self.at = at

    def frames(self, record: bytes, salt: int) -> Iterator[bytes]:
        for first in range(self.first, self.until, FRAME_RECORDS):
            count = min(self.until - first, FRAME_RECORDS)
            yield b"".join(encode_frame(first, self.watermark, self.at, [record] * count, salt))


# A range of the old file (start, end), encoded frames, or frames to encode.
Part = tuple[int, int] | bytes | LostRecords


class SegmentPlan:
    """What a segment is to consist of: its header, then the parts in order.

    taken: (offset, length) of the ranges that are left out. changed: it must be written again.
    """

    __slots__ = ("changed", "header", "parts", "path", "taken")

    def __init__(self, path: str, header: Header) -> None:
        self.path = path
        self.header = header
        self.parts: list[Part] = []
        self.taken: list[tuple[int, int]] = []
        self.changed = False

    def keep(self, frame: Frame) -> None:
        last = self.parts[-1] if self.parts else b""
        if isinstance(last, tuple) and last[1] == frame.offset:
            self.parts[-1] = (last[0], frame.end)
        else:
            self.parts.append((frame.offset, frame.end))

    def take(self, offset: int, length: int) -> None:
        self.taken.append((offset, length))
        self.changed = True

    @property
    def kept_end(self) -> int:
        """Offset in the old file behind the last range that is kept."""
        ends = (part[1] for part in self.parts if isinstance(part, tuple))
        return max(ends, default=HEADER_BYTES)


class Plan:
    """The result: every segment in order, what is lost, and what is set aside.

    lost: the record for lost ones.
    """

    def __init__(self, directory: str, lost: bytes) -> None:
        self.directory = directory
        self.lost = lost
        self.losses: list[Loss] = []
        self.segments: list[SegmentPlan] = []
        self.headers_lost = False  # all of them
        self.aside: list[Aside] = []  # in the order in which it is to be done

    @property
    def changes(self) -> bool:
        return bool(self.aside) or any(segment.changed for segment in self.segments)


class Planner:
    """Goes through the segments once, oldest first, and fills its `plan`."""

    def __init__(
        self,
        directory: str,
        fs: FileSystem,
        accept: Callable[[bytes], bool],
        lost: bytes,
        meta: bytes,
    ) -> None:
        self.plan = Plan(directory, lost)
        self._directory = directory
        self._fs = fs
        self._accept = accept
        self._numbers = segment_numbers(fs.list(directory))
        self._blocks = {number: self._read_header(number) for number in self._numbers}
        headers = [block.header for block in self._blocks.values() if block.header is not None]
        self.plan.headers_lost = bool(self._numbers) and not headers
        self._log_id = headers[0].log_id if headers else self._new_log_id()
        self._salt = salt_of(self._log_id)
        self._copies: set[int] = set()  # files that are copies of another segment's
        # The state after the segments read so far. Used for segments whose header is lost.
        self._expected = 0  # the next LSN; 0: not known yet
        self._watermark = 0
        self._at = 0
        self._meta = headers[0].meta if headers else meta

    def run(self) -> Plan:
        for number, block in self._blocks.items():
            if block.header is not None:
                self._check_log(number, block.header)
        self._check_names()
        branches = Branches(self._blocks, self._log_id, self._read)
        for number in self._numbers:
            if number in branches.kept:  # which may become shorter
                self._plan_segment(number, branches)
        self.plan.aside = branches.aside
        return self.plan

    def _check_names(self) -> None:
        for number, right, copied in wrong_names(self._blocks, self._log_id):
            if not copied:
                raise BeyondRepair(str(WrongName(self._path(number), right)))
            self._copies.add(number)

    def _path(self, number: int) -> str:
        return segment_path(self._directory, number)

    def _read(self, number: int) -> bytes:
        return self._fs.read(self._path(number))

    def _read_header(self, number: int) -> HeaderBlock:
        path = self._path(number)
        block = read_header(self._fs.read(path, HEADER_BYTES), number)
        if block.newer:
            raise NewerVersion(path, block.newer, VERSION)
        return block

    # --- a segment

    def _plan_segment(self, number: int, branches: Branches) -> None:
        path = self._path(number)
        data = self._fs.read(path)
        block = self._blocks[number]
        copied = data[HEADER_BYTES : content_end(data)] if number in self._copies else b""
        if copied:
            data = data[:HEADER_BYTES]
        header = block.header or self._invented_header(number, data)
        if self.plan.segments:
            self._bridge(number, header)
        segment = SegmentPlan(path, header)
        if not block.whole:
            self._take_header(segment, block)
        if copied:
            segment.take(HEADER_BYTES, len(copied))
        self.plan.segments.append(segment)
        self._expected = header.base_lsn
        self._watermark = max(self._watermark, header.durable_lsn)
        self._at = max(self._at, header.created_at)
        self._meta = header.meta
        end = branches.end_of(number, data)
        if end < len(data):
            segment.changed = True
        self._plan_frames(segment, number, data[:end])

    def _new_log_id(self) -> int:
        """With the salt of the frames that are there."""
        salt = find_salt(map(self._read, self._numbers))
        new = self._new_id()
        return new if salt is None else (new & ~0xFFFFFFFF) | salt

    def _check_log(self, number: int, header: Header) -> None:
        if header.log_id != self._log_id:
            here = f"of log {header.log_id:016x} among those of log {self._log_id:016x}"
            raise BeyondRepair(
                f"{self._path(number)}: a segment {here}: move away what does not belong"
            )

    def _invented_header(self, number: int, data: bytes) -> Header:
        """For a segment whose header is lost: from its neighbours and its frames."""
        scanned = scan(data, self._salt, number)
        first = next((found for found in scanned if isinstance(found, Frame)), None)
        base_lsn = self._expected
        if not base_lsn:  # the first segment
            base_lsn = 1 if number == 1 else first.first_lsn if first else self._base_after(number)
        if not 0 < base_lsn <= LAST:
            where = f"no header, and frames that begin with LSN {base_lsn}"
            raise BeyondRepair(f"{self._path(number)}: {where}")
        return self._new_header(number, base_lsn, self._id_in_successor(number) or self._new_id())

    def _base_after(self, number: int) -> int:
        """The LSN with which the next segment begins; 1 if that is unknown."""
        block = self._blocks.get(number + 1)
        return block.header.base_lsn if block is not None and block.header is not None else 1

    def _new_header(self, number: int, base_lsn: int, segment_id: int) -> Header:
        return Header(
            number,
            base_lsn,
            self._watermark,
            self._log_id,
            self._at,
            segment_id,
            self._last_segment_id(),
            self._meta,
        )

    def _last_segment_id(self) -> int:
        segments = self.plan.segments
        return segments[-1].header.segment_id if segments else 0

    def _id_in_successor(self, number: int) -> int:
        """The segment id that the next segment's header names for this one; 0 if unknown."""
        block = self._blocks.get(number + 1)
        header = block.header if block is not None else None
        return header.previous_segment_id if header is not None else 0

    def _new_id(self) -> int:
        return int.from_bytes(self._fs.urandom(8), "little") or 1

    def _take_header(self, segment: SegmentPlan, block: HeaderBlock) -> None:
        offset = 0 if block.header is None else block.damaged_offset
        length = HEADER_BYTES if block.header is None else COPY_BYTES
        segment.take(offset, length)
        expected = self._expected
        reason = block.damage[offset > 0]
        self.plan.losses.append(Loss(segment.path, offset, length, expected + 1, expected, reason))

    # --- between two segments

    def _bridge(self, number: int, header: Header) -> None:
        """Makes this segment follow the one before: fills in missing segments and LSNs, and mends
        the chain of segment ids.
        """
        self._check_bridge(number, header)
        last = self.plan.segments[-1].header.number
        for missing in range(last + 1, number):
            segment_id = header.previous_segment_id if missing == number - 1 else self._new_id()
            self._add_missing(missing, segment_id, header.base_lsn)
        before = self.plan.segments[-1]
        if header.base_lsn > self._expected:
            reason = "the end of the segment is missing"
            self._lose(before, before.kept_end, 0, header.base_lsn, reason)
        if header.previous_segment_id != before.header.segment_id:
            before.header.segment_id = header.previous_segment_id
            before.changed = True

    def _check_bridge(self, number: int, header: Header) -> None:
        path = self._path(number)
        if header.base_lsn < self._expected:
            raise BeyondRepair(
                f"{path}: begins with LSN {header.base_lsn}, but LSN {self._expected - 1} "
                "stands before it: one of the two is stale"
            )
        missing = number - self.plan.segments[-1].header.number - 1
        if missing >= MISSING_MAX:
            raise BeyondRepair(
                f"{path}: {missing} segments are missing before it: move away what does not belong"
            )

    def _add_missing(self, number: int, segment_id: int, until: int) -> None:
        header = self._new_header(number, self._expected, segment_id)
        segment = SegmentPlan(self._path(number), header)
        segment.changed = True
        self.plan.segments.append(segment)
        self._lose(segment, HEADER_BYTES, 0, until, "the segment is missing")

    # --- frames

    def _plan_frames(self, segment: SegmentPlan, number: int, data: bytes) -> None:
        damage: Damage | None = None  # the first since the last whole frame
        for found in scan(data, self._salt, number, self._expected):
            if isinstance(found, Damage):
                damage = damage or found
                if found.length:
                    segment.take(found.offset, found.length)
                continue
            if damage is not None:
                self._lose(segment, damage.offset, damage.length, found.first_lsn, damage.reason)
                damage = None
            self._plan_frame(segment, found)
        if damage is not None:
            # No whole frame follows. LSNs up to the highest watermark existed. Whether there were
            # more follows from the base LSN of the next segment.
            highest = highest_watermark(data, damage.offset, self._salt, self._expected)
            until = max(highest + 1, self._expected)
            self._lose(segment, damage.offset, damage.length, until, damage.reason)

    def _plan_frame(self, segment: SegmentPlan, frame: Frame) -> None:
        self._expected = frame.next_lsn
        self._watermark = max(self._watermark, frame.durable_lsn)
        self._at = frame.at
        if all(map(self._accept, frame.records)):
            segment.keep(frame)
        else:
            self._replace_records(segment, frame)

    def _replace_records(self, segment: SegmentPlan, frame: Frame) -> None:
        """Takes out the records that the owner does not accept."""
        records = []
        for lsn, record in enumerate(frame.records, frame.first_lsn):
            if self._accept(record):
                records.append(record)
                continue
            records.append(self.plan.lost)
            reason = "a record that cannot be read"
            loss = Loss(segment.path, frame.offset, len(record), lsn, lsn, reason)
            self.plan.losses.append(loss)
        pieces = encode_frame(frame.first_lsn, frame.durable_lsn, frame.at, records, self._salt)
        segment.parts.append(b"".join(pieces))
        segment.take(frame.offset, frame.end - frame.offset)

    def _lose(
        self, segment: SegmentPlan, offset: int, length: int, until: int, reason: str
    ) -> None:
        """The LSNs from the expected one to `until` - 1 are lost."""
        first = self._expected
        if until - first > LOST_MAX:
            lost = f"{lsn_range(first, until - 1)} missing ({reason})"
            raise BeyondRepair(
                f"{segment.path}: at offset {offset} there would be {lost}: "
                "no log loses so much in one place"
            )
        self.plan.losses.append(Loss(segment.path, offset, length, first, until - 1, reason))
        segment.changed = True
        if first < until:
            segment.parts.append(LostRecords(first, until, self._watermark, self._at))
            self._expected = until
