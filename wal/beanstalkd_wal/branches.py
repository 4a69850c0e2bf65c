"""What two writers leave in one directory: two branches of one log, of which a repair keeps one.

Until the second server starts, both branches are the same. The header of its first segment has the
id of the segment before, and the LSN at which that segment ended. What the first server appended
to that segment later, the second one has not read. If the first server also began segments, the
chain of segment ids is broken where they meet those of the second server.

Promises: changes nothing. The branch with more records is kept; of two that are equal, the later
one. All other files are named, so that they can be set aside. The records from before the second
start are always kept: where that is not possible, BeyondRepair is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from beanstalkd_wal.errors import WalError
from beanstalkd_wal.format import HEADER_BYTES, Frame, decode_frame, salt_of
from beanstalkd_wal.reader import HeaderBlock, next_frame

Blocks = dict[int, HeaderBlock]


class BeyondRepair(WalError):
    """A repair would have to guess. Nothing was changed."""


class Aside:
    """A segment of the other branch. records: how many of its records are not kept.

    moved: the whole segment is. Otherwise a copy of it is made, and its frames from `offset` on are
    taken out.
    """

    __slots__ = ("moved", "number", "offset", "records")

    def __init__(self, number: int, records: int, moved: bool, offset: int) -> None:
        self.number = number
        self.records = records
        self.moved = moved
        self.offset = offset


class Branches:
    """Finds the branches of a log. read: the bytes of the segment with a number."""

    def __init__(self, blocks: Blocks, log_id: int, read: Callable[[int], bytes]) -> None:
        self.kept = sorted(blocks)  # numbers of the segments that are kept
        self.aside: list[Aside] = []
        self._blocks = blocks
        self._salt = salt_of(log_id)
        self._read = read
        self._keep_first_chain()

    def _keep_first_chain(self) -> None:
        numbers = self.kept
        ends = (n for n in range(1, len(numbers)) if not self._follows(numbers[n], numbers[n - 1]))
        end = next(ends, len(numbers))
        first, rest = numbers[:end], numbers[end:]
        if self._records_in(rest) > self._records_in(first):
            raise BeyondRepair(
                f"segment {rest[0]} is not the successor of segment {first[-1]}: segments "
                f"{first[0]} to {first[-1]} have {self._records_in(first)} records, and segments "
                f"{rest[0]} to {rest[-1]} have {self._records_in(rest)}: copy the directory, "
                "move those that are not to be kept out of it, and repair again"
            )
        self._set_aside(rest)
        self.kept = first

    def _follows(self, number: int, before: int) -> bool:
        """Unknown if a header is lost, or a segment is missing: then it counts as true."""
        header, earlier = self._blocks[number].header, self._blocks[before].header
        if header is None or earlier is None or number != before + 1:
            return True
        return header.previous_segment_id == earlier.segment_id

    def _set_aside(self, numbers: list[int]) -> None:
        """The latest first: if a repair is killed between two moves, no gap is left."""
        for number in reversed(numbers):
            self.aside.append(Aside(number, self._records(number), True, 0))

    def _records(self, number: int) -> int:
        return sum(len(frame.lengths) for frame in self._frames(number, self._read(number)))

    def _records_in(self, numbers: list[int]) -> int:
        return sum(map(self._records, numbers))

    # --- the segment in which the second server began

    def end_of(self, number: int, data: bytes) -> int:
        """Where the frames of this segment end that belong to the branch that is kept.

        data: of the segment. May set later segments aside.
        """
        base_lsn = self._base_of_next(number)
        beyond: list[Frame] = []
        for frame in self._frames(number, data) if base_lsn else ():
            if frame.first_lsn >= base_lsn:
                beyond.append(frame)
            else:
                beyond.clear()
        if not beyond:
            return len(data)
        records = sum(len(frame.lengths) for frame in beyond)
        later = [each for each in self.kept if each > number]
        if records > self._records_in(later):
            self._set_aside(later)
            self.kept = [each for each in self.kept if each <= number]
            return len(data)
        self.aside.append(Aside(number, records, False, beyond[0].offset))
        return beyond[0].offset

    def _base_of_next(self, number: int) -> int:
        """The LSN with which the next segment begins; 0 if it does not follow this one for sure."""
        block, later = self._blocks[number], self._blocks.get(number + 1)
        if number + 1 not in self.kept or later is None:
            return 0
        if block.header is None or later.header is None:
            return 0
        return later.header.base_lsn

    def _frames(self, number: int, data: bytes) -> Iterator[Frame]:
        """All that have records. (A frame that only has a watermark has the next LSN.)"""
        offset = HEADER_BYTES
        while (offset := next_frame(data, offset, self._salt, number)) >= 0:
            frame = decode_frame(data, offset, self._salt, number)
            assert isinstance(frame, Frame)
            offset = frame.end
            if frame.lengths:
                yield frame
