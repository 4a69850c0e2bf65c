"""Reads a log from its oldest record to its newest, and decides whether damage is torn or corrupt.

Promises: takes no lock and changes nothing; holds one segment in memory; yields no damaged frame
and none out of order. Damage to durable bytes raises Corrupt; an unfinished tail is reported in
`torn` ("torn is not corrupt").

How corrupt and torn are told apart:

- Before a segment gets its name, its header is durable, and so are all earlier segments. So only
  the frames of the last segment can be torn. Any other damage is corrupt.
- Each frame has a durable watermark: the highest LSN that was durable when the frame was written.
- In the last segment, reading stops where LSN n is expected and no whole frame with it is found.
  All valid frame headers after that place are read. If one of them has a watermark of n or more,
  LSN n was durable: corrupt. Otherwise: torn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from beanstalkd_wal.errors import Corrupt, NewerVersion, WrongName
from beanstalkd_wal.format import HEADER_BYTES, VERSION, Frame, Header, decode_frame, salt_of
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import segment_numbers, segment_path
from beanstalkd_wal.reader import (
    HeaderBlock,
    content_end,
    highest_watermark,
    read_header,
    wrong_names,
)


class SegmentInfo:
    """A segment that was read.

    next_lsn: the LSN after its last record. created_at: wall time, ns. file_bytes: size of the
    file; used_bytes: up to the end of its last whole frame.
    """

    __slots__ = (
        "base_lsn",
        "segment_id",
        "created_at",
        "created_under_never",
        "file_bytes",
        "meta",
        "next_lsn",
        "number",
        "path",
        "used_bytes",
    )

    def __init__(self, path: str, header: Header, file_bytes: int) -> None:
        self.number = header.number
        self.path = path
        self.base_lsn = header.base_lsn
        self.next_lsn = header.base_lsn
        self.created_at = header.created_at
        self.created_under_never = header.created_under_never
        self.segment_id = header.segment_id
        self.meta = header.meta
        self.file_bytes = file_bytes
        self.used_bytes = HEADER_BYTES


class Torn:
    """A torn tail: no durable watermark covers the bytes of the last segment from `offset` on.

    nbytes: its length without the zeros at the end. expected: the LSN that was expected there.
    reason: what was found instead.
    """

    __slots__ = ("expected", "nbytes", "offset", "path", "reason", "segment")

    def __init__(
        self, path: str, segment: int, offset: int, nbytes: int, expected: int, reason: str
    ) -> None:
        self.path = path
        self.segment = segment
        self.offset = offset
        self.nbytes = nbytes
        self.expected = expected
        self.reason = reason

    def __str__(self) -> str:
        place = f"{self.path}: torn at offset {self.offset}"
        found = f"expected LSN {self.expected}, found {self.reason}"
        return f"{place}: {found}; {self.nbytes} bytes were never promised"


class _File:
    """A segment's file, before and after its header was read."""

    __slots__ = ("block", "nbytes", "number", "path")

    def __init__(self, number: int, path: str, nbytes: int) -> None:
        self.number = number
        self.path = path
        self.nbytes = nbytes
        self.block = HeaderBlock(None, ("", ""), 0)

    @property
    def header(self) -> Header:
        """Only after _check_header."""
        header = self.block.header
        assert header is not None
        return header


class Replay:
    """Iterate over it to get the frames. After the last frame it is `exhausted`, as Log.open needs
    it.

    Read-only attributes: `segments` and `torn`; `next_lsn`, `watermark`, `log_id`; `meta` of the
    newest segment; `bytes_done` of `bytes_total`, for a progress report. Iterating raises Corrupt,
    NewerVersion or OSError.
    """

    def __init__(self, directory: str | os.PathLike[str], fs: FileSystem | None = None) -> None:
        self.directory = os.fspath(directory)
        self.fs = fs or FileSystem()
        self._files: list[_File] = []
        for number in segment_numbers(self.fs.list(self.directory)):
            path = segment_path(self.directory, number)
            self._files.append(_File(number, path, self.fs.size(path)))
        self.bytes_total = sum(file.nbytes for file in self._files)
        self._reset()

    def _reset(self) -> None:
        self.exhausted = False
        self.bytes_done = 0
        self.segments: list[SegmentInfo] = []
        self.torn: Torn | None = None
        self.next_lsn = 1
        self.watermark = 0  # the highest that was read
        self.log_id = 0
        self.meta = b""

    @property
    def last_segment(self) -> int:
        return self.segments[-1].number if self.segments else 0

    def __iter__(self) -> Iterator[Frame]:
        self._reset()
        self._read_headers()
        for index in range(len(self._files)):
            yield from self._read_segment(index)
        self.bytes_done = self.bytes_total
        self.exhausted = True

    @property
    def may_miss_changes(self) -> bool:
        """Whether the log was written under Durability.NEVER and not closed. After a power failure,
        changes may then be missing although nothing is torn.
        """
        last = self.segments[-1] if self.segments else None
        if last is None or not last.created_under_never or last.file_bytes == last.used_bytes:
            return False  # `Log.close` cuts off the unused end, except on a full disk
        return self.watermark < self.next_lsn - 1 or self.next_lsn == last.base_lsn

    # --- headers

    def _read_headers(self) -> None:
        """All headers first: a newer version, or a segment of another log, is found before any
        frame is yielded.
        """
        for file in self._files:
            file.block = read_header(self.fs.read(file.path, HEADER_BYTES), file.number)
            if file.block.newer:
                raise NewerVersion(file.path, file.block.newer, VERSION)
            if file.block.header is not None:
                self._enter_log(file)
        blocks = {file.number: file.block for file in self._files}
        for number, right, copied in wrong_names(blocks, self.log_id):
            if not copied:
                raise WrongName(segment_path(self.directory, number), right)

    def _enter_log(self, file: _File) -> None:
        header = file.header
        if not self.log_id:
            self.log_id = header.log_id
            self.next_lsn = header.base_lsn
        if header.log_id != self.log_id:
            expected = f"the header of log {self.log_id:016x}"
            raise Corrupt(file.path, 0, expected, f"the header of log {header.log_id:016x}")
        self.meta = header.meta

    def _check_header(self, file: _File) -> None:
        block = file.block
        if block.header is None:
            raise Corrupt(file.path, 0, "a header", block.damage[0])
        if not block.whole:
            offset = block.damaged_offset
            raise Corrupt(file.path, offset, "a copy of the header", block.damage[offset > 0])
        self.watermark = max(self.watermark, block.header.durable_lsn)

    # --- frames

    def _read_segment(self, index: int) -> Iterator[Frame]:
        file = self._files[index]
        data = self.fs.read(file.path)
        self._check_header(file)
        info = SegmentInfo(file.path, file.header, len(data))
        self.segments.append(info)
        salt = salt_of(self.log_id)
        done = self.bytes_done
        offset = HEADER_BYTES
        # Whole frames, each following the one before. One flat loop: it runs once per frame, and a
        # frame may hold a single record.
        while True:
            found = decode_frame(data, offset, salt, info.number)
            if isinstance(found, str):
                reason = found
                break
            if found.first_lsn != info.next_lsn:
                reason = f"a frame that begins with LSN {found.first_lsn}"
                break
            offset = found.end
            info.used_bytes = offset
            info.next_lsn = self.next_lsn = found.next_lsn
            if found.durable_lsn > self.watermark:
                self.watermark = found.durable_lsn
            self.bytes_done = done + offset
            yield found
        self.bytes_done = done + file.nbytes
        self._judge_end(index, offset, data, reason)

    # --- judgement

    def _judge_end(self, index: int, offset: int, data: bytes, reason: str) -> None:
        """The whole frames of a segment end at `offset`. If other bytes than zeros follow there, or
        the next segment does not fit: raises Corrupt or sets `torn`.
        """
        clean = content_end(data, offset) == offset
        if index + 1 < len(self._files):
            found = self._broken_succession(index, clean, reason)
            if found:
                raise self._corrupt(index, offset, found)
        elif not clean:
            self._judge_tail(index, offset, data, reason)

    def _broken_succession(self, index: int, clean: bool, reason: str) -> str:
        """What is wrong between a segment and the next one; "" if nothing is."""
        file, later = self._files[index], self._files[index + 1]
        if later.number != file.number + 1:
            return f"segment {later.number} as the next"
        header = later.block.header
        if header is None:  # if this segment is clean, _check_header of the next one raises Corrupt
            return "" if clean else reason
        if header.base_lsn != self.next_lsn:
            found = f"the next segment to begin with LSN {header.base_lsn}"
            return found if clean else reason
        if header.previous_segment_id != file.header.segment_id:
            number = file.number
            return f"segment {later.number}, but as the successor of another segment {number}"
        return "" if clean else reason

    def _judge_tail(self, index: int, offset: int, data: bytes, reason: str) -> None:
        watermark = highest_watermark(data, offset, salt_of(self.log_id), self.next_lsn)
        if watermark >= self.next_lsn:
            raise self._corrupt(index, offset, reason)
        file = self._files[index]
        nbytes = content_end(data, offset) - offset
        self.torn = Torn(file.path, file.number, offset, nbytes, self.next_lsn, reason)

    def _corrupt(self, index: int, offset: int, found: str) -> Corrupt:
        return Corrupt(self._files[index].path, offset, f"LSN {self.next_lsn}", found)
