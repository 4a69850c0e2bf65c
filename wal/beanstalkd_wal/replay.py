"""A directory read from its oldest record to its newest: in order, and with a judgement where that
comes to an end.

May know: files and frames. Promises: takes no lock and changes nothing; holds one segment in
memory; yields nothing that is damaged and nothing out of order; what had been promised is damaged:
Corrupt, what had not: `torn`, exactly as far as the log itself can tell.

How the two are told apart (law 5): every header and frame says up to which LSN the log was durable
when it was written. Where LSN n is due and something else is found, all that is whole behind it is
asked. A claim of n or more: corrupt, for n had been durable. None: torn. Besides, a header is
durable before its segment gets the name, and so is the segment before; unless it says that it was
born unsynced.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from beanstalkd_wal.errors import Corrupt, NewerVersion
from beanstalkd_wal.format import HEADER_BYTES, VERSION, Frame, Header, decode_frame, salt_of
from beanstalkd_wal.fs import FileSystem
from beanstalkd_wal.names import segment_numbers, segment_path
from beanstalkd_wal.reader import HeaderBlock, content_end, highest_claim, read_header


class SegmentInfo:
    """A segment as replay found it. used_bytes is the end of its last whole frame."""

    __slots__ = (
        "base_lsn",
        "segment_id",
        "created_at",
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
        self.segment_id = header.segment_id
        self.meta = header.meta
        self.file_bytes = file_bytes
        self.used_bytes = HEADER_BYTES


class Torn:
    """An unfinished tail: nothing from this place on had been promised. nbytes leaves out the zeros
    at the end.
    """

    __slots__ = ("expected", "headless", "later", "nbytes", "offset", "path", "reason", "segment")

    def __init__(
        self,
        path: str,
        segment: int,
        offset: int,
        nbytes: int,
        expected: int,
        reason: str,
        later: list[str],
        headless: list[str],
    ) -> None:
        self.path = path
        self.segment = segment
        self.offset = offset
        self.nbytes = nbytes
        self.expected = expected  # the LSN that was due there
        self.reason = reason
        self.later = later  # paths of the segments behind it, torn with it
        self.headless = headless  # of these, whose header is lost

    def __str__(self) -> str:
        lost = f"{self.nbytes} bytes" + (
            f" and {len(self.later)} later segments" if self.later else ""
        )
        place = f"{self.path}: torn at offset {self.offset}"
        return f"{place}: expected LSN {self.expected}, found {self.reason}; {lost} were never promised"


class _File:
    """A segment file in the directory, its header read."""

    __slots__ = ("block", "nbytes", "number", "path")

    def __init__(self, number: int, path: str, nbytes: int) -> None:
        self.number = number
        self.path = path
        self.nbytes = nbytes
        self.block = HeaderBlock(None, ("", ""), 0)

    @property
    def header(self) -> Header | None:
        return self.block.header


class Replay:
    def __init__(self, directory: str | os.PathLike[str], fs: FileSystem | None = None) -> None:
        self.directory = os.fspath(directory)
        self.fs = fs or FileSystem()
        self._files: list[_File] = []
        self._list()

    def _list(self) -> None:
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
        self.unborn: str | None = None  # path of a last segment that never got its header
        self.next_lsn = 1
        self.watermark = 0
        self.log_id = 0
        self.meta = b""

    @property
    def last_segment(self) -> int:
        return self.segments[-1].number if self.segments else 0

    def __iter__(self) -> Iterator[Frame]:
        self._reset()
        self._read_headers()
        for index in range(len(self._files)):
            yield from self._segment(index)
            if self.torn or self.unborn:
                break
        self.bytes_done = self.bytes_total
        self.exhausted = True

    # --- headers

    def _read_headers(self) -> None:
        """All of them before the first frame: a newer version or another log's segment is named
        before anything is believed.
        """
        for file in self._files:
            file.block = read_header(self.fs.read(file.path, HEADER_BYTES), file.number)
            if file.block.newer:
                raise NewerVersion(file.path, file.block.newer, VERSION)
            header = file.header
            if header is None:
                continue
            if not self.log_id:
                self.log_id = header.log_id
                self.next_lsn = header.base_lsn
            if header.log_id != self.log_id:
                found = f"the header of log {header.log_id:016x}"
                if not header.unsynced:
                    raise Corrupt(file.path, 0, f"the header of log {self.log_id:016x}", found)
                # The file may have had a former life, and its new header was lost.
                file.block = HeaderBlock(None, (found, found), 0)
                continue
            self.meta = header.meta

    def _check_header(self, index: int, data: bytes) -> bool:
        """Whether the segment can be entered. Otherwise says why in torn or unborn, or raises."""
        file = self._files[index]
        header = file.header
        if header is None:
            return self._missing_header(index, data)
        if not file.block.whole and not header.unsynced:
            offset = file.block.damaged_at
            raise Corrupt(file.path, offset, "a copy of the header", file.block.damage[offset > 0])
        self.watermark = max(self.watermark, header.durable_lsn)
        return True

    def _missing_header(self, index: int, data: bytes) -> bool:
        file = self._files[index]
        if index + 1 == len(self._files) and content_end(data) == 0:
            self.unborn = file.path
            return False
        # Whether it was born unsynced, its neighbours tell. It may be torn then, as far as nothing
        # behind claims what was in it.
        before = [other.header for other in self._files[:index] if other.header][-1:]
        behind = [other.header for other in self._files[index:] if other.header][:1]
        if not any(header.unsynced for header in before + behind):
            raise Corrupt(file.path, 0, "a header", file.block.damage[0])
        if index == 0:
            self.next_lsn = 1  # as low as can be, as nobody knows where it began
        self._judge(index, 0, data, file.block.damage[0])
        return False

    # --- frames

    def _segment(self, index: int) -> Iterator[Frame]:
        file = self._files[index]
        data = self.fs.read(file.path)
        if not self._check_header(index, data):
            return
        assert file.header is not None
        info = SegmentInfo(file.path, file.header, len(data))
        self.segments.append(info)
        salt = salt_of(self.log_id)
        done = self.bytes_done
        offset = HEADER_BYTES
        # Frames as long as they are whole and follow each other. Flat, because there may be one for
        # each record.
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
        self._end(index, offset, data, reason)

    def _end(self, index: int, offset: int, data: bytes, reason: str) -> None:
        """The frames of a segment have come to an end here: is that its end, and does the next one
        follow?
        """
        clean = content_end(data, offset) == offset
        file = self._files[index]
        if index + 1 == len(self._files):
            if not clean:
                self._judge(index, offset, data, reason)
            return
        later = self._files[index + 1]
        header = later.header
        if later.number != file.number + 1:
            found = f"segment {later.number} as the next"
        elif header is not None and header.base_lsn != self.next_lsn:
            found = f"the next segment to begin with LSN {header.base_lsn}" if clean else reason
        elif (
            header is not None
            and file.header is not None
            and header.previous_segment_id != file.header.segment_id
        ):
            found = f"segment {later.number}, but as the successor of another segment {file.number}"
        elif clean or (header is not None and header.unsynced):
            # What an unsynced log left behind its cut may have come back; all that follows is in
            # the next segment.
            return
        else:
            found = reason
        if header is not None and not header.unsynced:
            self._corrupt(index, offset, found)
        self._judge(index, offset, data, found)

    # --- judgement

    def _judge(self, index: int, offset: int, data: bytes, found: str) -> None:
        if self._claim_behind(index, offset, data) >= self.next_lsn:
            self._corrupt(index, offset, found)
        file = self._files[index]
        later = [other.path for other in self._files[index + 1 :]]
        headless = [other.path for other in self._files[index + 1 :] if other.header is None]
        nbytes = content_end(data, offset) - offset
        self.torn = Torn(
            file.path, file.number, offset, nbytes, self.next_lsn, found, later, headless
        )

    def _corrupt(self, index: int, offset: int, found: str) -> None:
        raise Corrupt(self._files[index].path, offset, f"LSN {self.next_lsn}", found)

    def _claim_behind(self, index: int, offset: int, data: bytes) -> int:
        """The highest claim behind a place; stops looking when it has seen enough."""
        salt = salt_of(self.log_id)
        highest = highest_claim(data, offset, salt, self.next_lsn)
        for later in self._files[index + 1 :]:
            if highest >= self.next_lsn:
                break
            if later.header is not None:
                highest = max(highest, later.header.durable_lsn)
            highest = max(
                highest, highest_claim(self.fs.read(later.path), HEADER_BYTES, salt, self.next_lsn)
            )
        return highest
