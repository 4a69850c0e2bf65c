"""The end of a log that a server writes to, polled again and again.

Promises: takes no lock; reads only what is new; yields whole frames in order of their LSNs, also
over rotations and restarts. `durable_lsn` never exceeds the durable watermark in the log. Under -F
replies wait for the write only: there every written frame counts as durable.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import beanstalkd_wal as wal
from beanstalkd_wal.format import (
    COPY_BYTES,
    FRAME_BYTES,
    FRAME_MAGIC,
    HEADER_BYTES,
    VERSION,
    Header,
    decode_frame,
    decode_header,
    decode_watermark,
    salt_of,
    version_of,
)
from beanstalkd_wal.names import segment_numbers, segment_path

from beanstalkd_binlog.reading import Reading
from beanstalkd_binlog.segment import Gap

_LENGTH_OFFSET = 36  # of the payload's length, in the header of a frame


class Tail:
    """Continues where a reading ended."""

    def __init__(self, directory: str, reading: Reading) -> None:
        self._directory = directory
        self.next_lsn = reading.next_lsn
        self.durable_lsn = reading.watermark
        self._header: Header | None = None  # of the current segment
        self._offset = 0
        if reading.segments:
            last = reading.segments[max(reading.segments)]
            self._header = self._read_header(last.number)
            self._offset = max(last.used_bytes, HEADER_BYTES)
            if self._header is not None and self._header.created_under_never:
                self.durable_lsn = self.next_lsn - 1

    def poll(self) -> Iterator[wal.Frame | Gap]:
        """What was written since the last call."""
        while True:
            yield from self._frames()
            header = self._next_header()
            if header is None:
                return
            # The server seals a segment before it names the next one, so all frames are there now.
            yield from self._frames()
            yield from self._enter(header)

    @property
    def meta(self) -> bytes:
        """Metadata of the current segment."""
        return self._header.meta if self._header else b""

    def begins_segment(self, frame: wal.Frame) -> bool:
        return self._header is not None and frame.first_lsn == self._header.base_lsn

    def _next_header(self) -> Header | None:
        """Of the segment after the current one; of the first segment, if the directory now contains
        another log. None: there is no such segment, or it was deleted while it was opened.
        """
        numbers = segment_numbers(os.listdir(self._directory))
        first = self._read_header(numbers[0]) if numbers else None
        if first is None or self._header is None or first.log_id != self._header.log_id:
            return first
        later = [number for number in numbers if number > self._header.number]
        return self._read_header(later[0]) if later else None

    def _enter(self, header: Header) -> Iterator[Gap]:
        current = self._header
        if current is not None and (
            header.base_lsn != self.next_lsn or header.log_id != current.log_id
        ):
            yield Gap(header.number, header.base_lsn)
        self._header = header
        self._offset = HEADER_BYTES
        self.next_lsn = header.base_lsn
        self._raise_durable(header.durable_lsn)

    def _raise_durable(self, lsn: int) -> None:
        self.durable_lsn = max(self.durable_lsn, lsn)

    def _read_header(self, number: int) -> Header | None:
        try:
            with open(segment_path(self._directory, number), "rb") as file:
                return self._decode_header(file.name, file.read(COPY_BYTES), number)
        except FileNotFoundError:
            return None

    def _decode_header(self, path: str, copy: bytes, number: int) -> Header | None:
        header = decode_header(copy)
        if isinstance(header, Header):
            return header if header.number == number else None
        if version_of(copy) > VERSION:
            raise wal.NewerVersion(path, version_of(copy), VERSION)
        return None

    # --- frames

    def _frames(self) -> Iterator[wal.Frame]:
        """New frames of the current segment."""
        if self._header is None:
            return
        path = segment_path(self._directory, self._header.number)
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            if self._is_current(path, handle):
                yield from self._read_frames(handle)
        finally:
            os.close(handle)

    def _is_current(self, path: str, handle: int) -> bool:
        """Whether the file is still a segment of this log. A start replaces a segment that has no
        record by a new one of the same number. The new header then counts.
        """
        assert self._header is not None
        header = self._decode_header(path, os.pread(handle, COPY_BYTES, 0), self._header.number)
        if header is None or header.log_id != self._header.log_id:
            return False
        self._header = header
        return True

    def _read_frames(self, handle: int) -> Iterator[wal.Frame]:
        assert self._header is not None
        while True:
            frame = _read_frame(handle, self._offset, self._header)
            if frame is None or frame.first_lsn != self.next_lsn:
                return
            self._offset = frame.end
            self.next_lsn = frame.next_lsn
            never = self._header.created_under_never
            self._raise_durable(frame.next_lsn - 1 if never else frame.durable_lsn)
            yield frame


def _read_frame(handle: int, offset: int, header: Header) -> wal.Frame | None:
    """None if there is no whole frame at the offset yet."""
    salt = salt_of(header.log_id)
    head = os.pread(handle, FRAME_BYTES, offset)
    if head[:4] != FRAME_MAGIC or decode_watermark(head, 0, salt) is None:
        return None
    length = int.from_bytes(head[_LENGTH_OFFSET : _LENGTH_OFFSET + 4], "little")
    frame = decode_frame(os.pread(handle, FRAME_BYTES + length, offset), 0, salt, header.number)
    if isinstance(frame, str):
        return None
    frame.offset += offset
    frame.end += offset
    return frame
