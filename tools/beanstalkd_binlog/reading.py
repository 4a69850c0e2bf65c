"""The frames of a directory, oldest first, also while a server writes to it, and after damage.

Promises: takes no lock and changes nothing; holds one segment in memory. Whether damage is torn or
corrupt, and the message for it, come from `wal.Replay`.

A running server deletes segments at the old end and appends at the new end. So:

1. A file that is gone is not damage: the directory is listed again. There is a `Gap` if every
   segment that was read is gone and the first one left does not continue their LSNs. The server
   needs no record before the gap, and the log after the gap is complete.
2. Damage counts only if a second reading finds it too. The first reading may have seen a frame half
   written, or a file that was being deleted.
3. The end of a log that another process has locked is never torn.
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

# Attempts without progress before reading fails: the server deletes segments faster than they can
# be listed.
MAX_ATTEMPTS = 1000


class _FromSegment(wal.FileSystem):
    """A file system that hides the segments below a number."""

    def __init__(self, first: int) -> None:
        self.first = first

    def list(self, directory: str) -> list[str]:
        names = super().list(directory)
        hidden = {
            name for name in names for number in segment_numbers([name]) if number < self.first
        }
        return [name for name in names if name not in hidden]


class Reading:
    """Iterate it once. It yields Frame and Gap, and Damage with the frames after it.

    holds_lock: the caller holds the directory's lock, so no server writes.
    """

    def __init__(
        self,
        directory: str,
        progress: Callable[[int, int], None] = lambda done, total: None,
        holds_lock: bool = False,
    ) -> None:
        self.directory = directory
        self.segments: dict[int, Segment] = {}
        self.running = False  # another process holds the lock
        self.verdict = ""  # what the server reports of this log; "" if it reports nothing
        self.state = SEALED  # TORN or CORRUPT if there is a verdict
        self.damage: list[Damage] = []
        self.watermark = 0
        self.next_lsn = 0
        self._log_id = 0
        self._holds_lock = holds_lock
        self._progress = progress
        self._verdict_at = (0, 0)  # segment, offset
        self._done = 0

    def __iter__(self) -> Iterator[wal.Frame | Gap | Damage]:
        yield from self._read_intact()
        if self.verdict:
            yield from self._read_damaged()
        self._set_states()

    @property
    def place(self) -> tuple[str, int]:
        """Path and offset of the verdict."""
        return self.path(self._verdict_at[0]), self._verdict_at[1]

    def path(self, segment: int) -> str:
        return segment_path(self.directory, segment)

    def _numbers(self) -> list[int]:
        return segment_numbers(os.listdir(self.directory))

    # --- up to the first damage

    def _read_intact(self) -> Iterator[wal.Frame | Gap]:
        previous = ""
        attempts = 0
        while True:
            before = self.next_lsn
            found = ""
            self.running = not self._holds_lock and locked(self.directory)
            try:
                replay = wal.Replay(self.directory, fs=_FromSegment(self._first()))
                yield from self._new_frames(replay)
                found = self._torn(replay)
            except FileNotFoundError:
                attempts = 0 if self.next_lsn > before else attempts + 1
                if attempts > MAX_ATTEMPTS or not os.path.isdir(self.directory):
                    raise
                continue
            except wal.Corrupt as error:
                found = self._corrupt(error)
            if not found or found == previous:
                self.verdict = found
                return
            previous = found

    def _first(self) -> int:
        """The newest segment that was read and still exists: reading continues there."""
        known = [number for number in self._numbers() if number in self.segments]
        return known[-1] if known else 0

    def _new_frames(self, replay: wal.Replay) -> Iterator[wal.Frame | Gap]:
        """The frames of this replay that were not read before."""
        skipping = bool(self.segments)
        current = -1  # no segment has this number
        try:
            for frame in replay:
                self._progress(self._done + replay.bytes_done, self._done + replay.bytes_total)
                if frame.segment != current:
                    current = frame.segment
                    yield from self._gap(replay)
                    self._update(replay)
                if skipping and frame.next_lsn <= self.next_lsn:
                    continue
                skipping = False
                self.segments[current].add(frame)
                self.next_lsn = frame.next_lsn
                yield frame
            yield from self._gap(replay)
        finally:
            self._update(replay)
            self.next_lsn = max(self.next_lsn, replay.next_lsn)

    def _gap(self, replay: wal.Replay) -> Iterator[Gap]:
        """A gap between the segments read before and this replay, if there is one."""
        first = replay.segments[0] if replay.segments else None
        if first is None or not self.segments or first.number in self.segments:
            return
        if first.base_lsn > self.next_lsn:
            self.segments.clear()
            self.next_lsn = first.base_lsn
            yield Gap(first.number, first.base_lsn)

    def _update(self, replay: wal.Replay) -> None:
        """Takes over what the replay knows of the segments and of the log."""
        for info in replay.segments:
            self._segment(info.number).update(info)
        self.watermark = max(self.watermark, replay.watermark)
        self._log_id = replay.log_id
        if replay.exhausted:
            self._done += replay.bytes_total

    def _segment(self, number: int) -> Segment:
        return self.segments.setdefault(number, Segment(number, self.path(number)))

    def _torn(self, replay: wal.Replay) -> str:
        torn = replay.torn
        if torn is None or self.running:
            return ""
        self.state = TORN
        self._verdict_at = (torn.segment, torn.offset)
        return str(torn)

    def _corrupt(self, error: wal.Corrupt) -> str:
        self.state = CORRUPT
        self._verdict_at = (segment_numbers([os.path.basename(error.path)])[0], error.offset)
        return str(error)

    # --- after the first damage

    def _read_damaged(self) -> Iterator[wal.Frame | Damage]:
        first, offset = self._intact_end()
        for number in self._numbers():
            if number < first:
                continue
            try:
                with open(self.path(number), "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                continue
            for found in self._scan(number, data, offset if number == first else 0):
                if isinstance(found, Damage):
                    self.damage.append(found)
                yield found

    def _intact_end(self) -> tuple[int, int]:
        """Segment and offset where the intact part ends. The verdict may point further on, because
        replay reads all headers before any frame.
        """
        last = max(self.segments, default=0)
        return last, self.segments[last].used_bytes if last else 0

    def _scan(self, number: int, data: bytes, offset: int) -> Iterator[wal.Frame | Damage]:
        """Frames and damage of one segment, from an offset on."""
        segment = self._segment(number)
        segment.file_bytes = len(data)
        if self.state == TORN:
            length = content_end(data, offset) - offset
            if length:
                yield Damage(number, offset, length, "a torn tail")
            return
        block = read_header(data[:HEADER_BYTES], number)
        header = block.header
        if header is not None and self._log_id and header.log_id != self._log_id:
            yield Damage(number, 0, len(data), f"a segment of log {header.log_id:016x}")
            return
        if offset < HEADER_BYTES:
            yield from _header_damage(number, block)
        if header is not None:
            segment.update_header(header)
        yield from self._scan_frames(segment, data, max(offset, HEADER_BYTES))

    def _scan_frames(
        self, segment: Segment, data: bytes, offset: int
    ) -> Iterator[wal.Frame | Damage]:
        salt = salt_of(self._log_id)
        for found in scan(data, salt, segment.number, self.next_lsn, offset):
            if isinstance(found, wal.Frame):
                segment.add(found)
                self.next_lsn = found.next_lsn
            yield found

    # --- at the end

    def _set_states(self) -> None:
        """The state of each segment. Segments that were deleted meanwhile are left out."""
        existing = set(self._numbers())
        for number in [number for number in self.segments if number not in existing]:
            del self.segments[number]
        for damage in self.damage:
            if damage.length and damage.segment in self.segments:
                self.segments[damage.segment].state = self.state
        if self.verdict and self._verdict_at[0] in self.segments:
            self.segments[self._verdict_at[0]].state = self.state
        if self.segments:
            last = self.segments[max(self.segments)]
            if last.state == SEALED and (self.running or _has_headroom(last)):
                last.state = ACTIVE


def _has_headroom(segment: Segment) -> bool:
    """Whether there is space after the frames: the segment was not sealed."""
    return segment.file_bytes > segment.used_bytes


def _header_damage(number: int, block: HeaderBlock) -> Iterator[Damage]:
    for index, reason in enumerate(block.damage):
        if reason:
            yield Damage(number, index * HEADER_BYTES // 2, HEADER_BYTES // 2, reason)
