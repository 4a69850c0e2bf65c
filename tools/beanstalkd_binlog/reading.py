"""The frames of a directory, oldest first, while a server may be writing to it, and on behind
damage.

May know: files and frames. Promises: takes no lock and changes nothing; holds one segment in
memory; whether damage is torn or corrupt, and the words for it, are `wal.Replay`'s.

A running server drops segments at the old end, and makes new files of them; it appends at the new
end, and a frame half written is no damage. So:
- A file that is gone is looked for anew. If all that was read before is gone, too, and records
  between are missing, there is a `Gap`: the server dropped them, so nothing in them is needed any
  more, nor anything before them. What follows is a whole log by itself.
- Damage counts when it is there at a second look: what a claim speaks of was on disk before the
  claim was, so a second reading finds it.
- The end of a log that somebody has locked is never torn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import beanstalkd_wal as wal
from beanstalkd_wal.format import HEADER_BYTES, salt_of
from beanstalkd_wal.locking import locked
from beanstalkd_wal.names import segment_numbers, segment_path
from beanstalkd_wal.reader import Damage, HeaderBlock, content_end, read_header, scan

from beanstalkd_binlog.segment import ACTIVE, CORRUPT, SEALED, TORN, Gap, Segment

# without getting any further, before we give up: the server drops segments faster than we can list
# them
LOOKS = 1000


class _From(wal.FileSystem):
    """Shows no segment below a number."""

    def __init__(self, first: int) -> None:
        self.first = first

    def list(self, directory: str) -> list[str]:
        names = super().list(directory)
        return [
            name
            for name in names
            if not any(number < self.first for number in segment_numbers([name]))
        ]


class Reading:
    """To be iterated once: Frame, Gap, and Damage behind which frames go on. alone: the lock is
    ours, so nobody writes.
    """

    def __init__(
        self,
        directory: str,
        progress: Callable[[int, int], None] = lambda done, total: None,
        alone: bool = False,
    ) -> None:
        self.directory = directory
        self.segments: dict[int, Segment] = {}
        self.running = False  # somebody has the lock
        self.verdict = ""  # what the server would say, if it would say anything
        self.state = SEALED  # TORN or CORRUPT with a verdict
        self.damage: list[Damage] = []
        self.watermark = 0
        self.next_lsn = 0
        self._log_id = 0
        self._alone = alone
        self._progress = progress
        self._place = (0, 0)  # of the verdict: segment, offset
        self._done = 0

    def __iter__(self) -> Iterator[wal.Frame | Gap | Damage]:
        yield from self._whole()
        if self.verdict:
            yield from self._behind()
        self._name_states()

    @property
    def place(self) -> tuple[str, int]:
        """Of the verdict: file and offset."""
        return self.path(self._place[0]), self._place[1]

    def path(self, segment: int) -> str:
        return segment_path(self.directory, segment)

    def _numbers(self) -> list[int]:
        return segment_numbers(os.listdir(self.directory))

    # --- as far as it is whole

    def _whole(self) -> Iterator[wal.Frame | Gap]:
        seen = ""
        looks = 0
        while True:
            before = self.next_lsn
            found = ""
            self.running = not self._alone and locked(self.directory)
            try:
                replay = wal.Replay(self.directory, fs=_From(self._first()))
                yield from self._new(replay)
                found = self._torn(replay)
            except FileNotFoundError:
                looks = 0 if self.next_lsn > before else looks + 1
                if looks > LOOKS or not os.path.isdir(self.directory):
                    raise
                continue
            except wal.Corrupt as error:
                found = self._corrupt(error)
            if not found:
                return
            if found == seen:
                self.verdict = found
                return
            seen = found

    def _first(self) -> int:
        """The segment to go on with: the last that was read, or the one before it that is there."""
        known = [number for number in self._numbers() if number in self.segments]
        return known[-1] if known else 0

    def _new(self, replay: wal.Replay) -> Iterator[wal.Frame | Gap]:
        """What this replay has beyond what was read."""
        again = bool(self.segments)
        current = 0
        try:
            for frame in replay:
                self._progress(self._done + replay.bytes_done, self._done + replay.bytes_total)
                if frame.segment != current:
                    current = frame.segment
                    yield from self._gap(replay)
                    self._know(replay)
                if again and frame.next_lsn <= self.next_lsn:
                    continue
                again = False
                self.segments[current].take(frame)
                self.next_lsn = frame.next_lsn
                yield frame
            yield from self._gap(replay)
        finally:
            self._know(replay)
            self.next_lsn = max(self.next_lsn, replay.next_lsn)

    def _gap(self, replay: wal.Replay) -> Iterator[Gap]:
        """Whether there is one between what was read before and this replay."""
        begin = replay.segments[0] if replay.segments else None
        if (
            self.segments
            and begin
            and begin.number not in self.segments
            and begin.base_lsn > self.next_lsn
        ):
            self.segments.clear()
            self.next_lsn = begin.base_lsn
            yield Gap(begin.number, begin.base_lsn)

    def _know(self, replay: wal.Replay) -> None:
        for info in replay.segments:
            segment = self.segments.get(info.number)
            if segment is None:
                segment = self.segments[info.number] = Segment(info.number, info.path)
            segment.know(info)
        if replay.unborn:
            number = segment_numbers([os.path.basename(replay.unborn)])[0]
            unborn = self.segments.setdefault(number, Segment(number, replay.unborn))
            unborn.file_bytes, unborn.used_bytes = os.stat(replay.unborn).st_size, 0
        self.watermark = max(self.watermark, replay.watermark)
        self._log_id = replay.log_id
        if replay.exhausted:
            self._done += replay.bytes_total

    def _torn(self, replay: wal.Replay) -> str:
        torn = replay.torn
        if torn is None or self.running:
            return ""
        self.state = TORN
        self._place = (torn.segment, torn.offset)
        return str(torn)

    def _corrupt(self, error: wal.Corrupt) -> str:
        self.state = CORRUPT
        self._place = (segment_numbers([os.path.basename(error.path)])[0], error.offset)
        return str(error)

    # --- behind damage

    def _behind(self) -> Iterator[wal.Frame | Damage]:
        first, offset = self._reached()
        for number in self._numbers():
            if number < first:
                continue
            try:
                with open(self.path(number), "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            for found in self._segment(number, data, offset if number == first else 0):
                if isinstance(found, Damage):
                    self.damage.append(found)
                yield found

    def _reached(self) -> tuple[int, int]:
        """How far all was whole. The verdict may be on what lies behind that: headers are looked at
        first.
        """
        last = max(self.segments, default=0)
        return last, self.segments[last].used_bytes if last else 0

    def _segment(self, number: int, data: bytes, offset: int) -> Iterator[wal.Frame | Damage]:
        segment = self._enter(number, data)
        if self.state == TORN:
            length = content_end(data, offset) - offset
            if length:
                yield Damage(number, offset, length, "what was never promised")
            return
        block = read_header(data[:HEADER_BYTES], number)
        header = block.header
        if header is not None and self._log_id and header.log_id != self._log_id:
            yield Damage(number, 0, len(data), f"a segment of log {header.log_id:016x}")
            return
        if offset < HEADER_BYTES:
            yield from _header_damage(number, block)
        if header is not None:
            segment.base_lsn, segment.created_at, segment.meta = (
                header.base_lsn,
                header.created_at,
                header.meta,
            )
        for found in scan(
            data, salt_of(self._log_id), number, self.next_lsn, max(offset, HEADER_BYTES)
        ):
            if isinstance(found, wal.Frame):
                segment.take(found)
                self.next_lsn = found.next_lsn
            yield found

    def _enter(self, number: int, data: bytes) -> Segment:
        segment = self.segments.get(number)
        if segment is None:
            segment = self.segments[number] = Segment(number, self.path(number))
        segment.file_bytes = len(data)
        return segment

    # --- at the end

    def _name_states(self) -> None:
        """What became of each segment; those that were dropped meanwhile are left out."""
        there = set(self._numbers())
        for number in [number for number in self.segments if number not in there]:
            del self.segments[number]
        for damage in self.damage:
            if damage.length and damage.segment in self.segments:
                self.segments[damage.segment].state = self.state
        if self.verdict and self._place[0] in self.segments:
            self.segments[self._place[0]].state = self.state
        last = max(self.segments, default=0)
        if (
            last
            and self.segments[last].state == SEALED
            and (self.running or self._is_open(self.segments[last]))
        ):
            self.segments[last].state = ACTIVE

    def _is_open(self, segment: Segment) -> bool:
        """Nobody has sealed it: the room behind its frames is still there."""
        return segment.file_bytes > segment.used_bytes


def _header_damage(number: int, block: HeaderBlock) -> Iterator[Damage]:
    for index, reason in enumerate(block.damage):
        if reason and (block.header is None or not block.header.unsynced):
            yield Damage(number, index * HEADER_BYTES // 2, HEADER_BYTES // 2, reason)
