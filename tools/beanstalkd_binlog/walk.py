"""One pass over a log: its frames, the jobs they make, and everything that is wrong with either.

Promises: a finding that the server reports too has the server's words. Findings are in the order in
which the server would meet them. A log of a newer version ends the pass before any record is used.
"""

from __future__ import annotations

from collections.abc import Iterator

import beanstalkd_wal as wal
from beanstalkd_wal.reader import Damage

from beanstalkd_binlog.directory import check
from beanstalkd_binlog.light import LightReplayer
from beanstalkd_binlog.progress import Reporter, Silent
from beanstalkd_binlog.reading import Reading
from beanstalkd_binlog.segment import CORRUPT, TORN, Gap
from beanstalkd_binlog.status import BAD_LOG, CLEAN, BadLog, warn
from beanstalkd_binlog.text import count
from beanstalkd_py.binlog.opening import NewerRecords, Unreadable, discarded, read_meta, unreadable


class Finding:
    """Something that is wrong: `state` is torn or corrupt. `message` is what the server reports; ""
    for what the server would not reach.
    """

    __slots__ = ("length", "message", "offset", "path", "reason", "state")

    def __init__(
        self, state: str, path: str, offset: int, length: int, reason: str, message: str = ""
    ) -> None:
        self.state = state
        self.path = path
        self.offset = offset
        self.length = length
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        if self.message:
            return self.message
        damaged = f"{self.length} bytes damaged: " if self.length else ""
        return f"{self.path}: at offset {self.offset}: {damaged}{self.reason}"


class Walk:
    """Iterate it once for Frame, Gap and Damage, or call `read_all`. When an item is yielded,
    `replayer` has applied everything up to that item.

    replay: False if the caller applies each frame. holds_lock: the caller holds the directory's
    lock, so a half-written end is torn.
    """

    def __init__(
        self,
        directory: str,
        progress: Reporter | None = None,
        replay: bool = True,
        holds_lock: bool = False,
    ) -> None:
        check(directory)
        self.directory = directory
        self._progress = progress or Silent()
        self.reading = Reading(directory, self._progress, holds_lock)
        self.replayer = LightReplayer()
        self.findings: list[Finding] = []
        self.gaps = 0
        self._replay = replay
        self._segment = 0
        self._bad = 0

    def __iter__(self) -> Iterator[wal.Frame | Gap | Damage]:
        reading = self.reading
        try:
            for found in reading:
                self._note_verdict()
                self._note(found)
                yield found
                self._note_bad_records()
            self._note_verdict()
            if reading.segments and not reading.verdict:
                self._check_meta(max(reading.segments))
        except (wal.NewerVersion, NewerRecords) as error:
            raise BadLog(str(error)) from error
        finally:
            self._progress.close()

    def _note(self, found: wal.Frame | Gap | Damage) -> None:
        if isinstance(found, wal.Frame):
            self._check_meta(found.segment)
            if self._replay:
                self.replayer.apply(found)
        elif isinstance(found, Gap):
            self._start_again()
        else:
            self._note_damage(found)

    def read_all(self) -> None:
        """Reads to the end. `replayer.state` is then the state that the server would start with."""
        for _ in self:
            pass
        self.finish_replay()

    def finish_replay(self) -> None:
        """After the last frame: finds updates of jobs that have no full record."""
        orphan = self.replayer.finish()
        if orphan is None:
            return
        path = self.reading.path(orphan.segment)
        if self.corrupt:  # the server stops before this point
            more = len(self.replayer.orphans) - 1
            others = f"; {count(more, 'more job')} like it" if more else ""
            self._add(CORRUPT, path, orphan.offset, 0, f"{orphan}{others}")
        elif orphan.lsn <= self.reading.watermark:
            message = str(unreadable(path, orphan))
            self._add(CORRUPT, path, orphan.offset, 0, orphan.reason, message)
        else:
            self._add(TORN, path, orphan.offset, 0, orphan.reason, discarded(path, orphan))

    @property
    def corrupt(self) -> bool:
        return any(finding.state == CORRUPT for finding in self.findings)

    def report(self) -> int:
        """Writes the server's messages to stderr. Returns the exit status of a command that shows
        what is intact.
        """
        for finding in self.findings:
            if finding.message:
                warn(str(finding))
        if not self.corrupt:
            return CLEAN
        hint = "beanstalkd-binlog verify lists all damage"
        warn(f"{self.directory}: the log is damaged; only intact records are shown ({hint})")
        return BAD_LOG

    # --- while reading

    def _check_meta(self, number: int) -> None:
        """The metadata of a segment, when its first frame is met."""
        if number == self._segment:
            return
        self._segment = number
        segment = self.reading.segments[number]
        if not segment.meta and not segment.base_lsn:
            return  # the header is missing, which is another finding
        try:
            read_meta(segment.path, segment.meta)
        except NewerRecords:
            raise
        except Unreadable as error:
            self._add(CORRUPT, segment.path, 0, 0, "no metadata", str(error))

    def _start_again(self) -> None:
        """After a gap the server needs nothing that was read before; findings there are void."""
        self.gaps += 1
        self.replayer = LightReplayer()
        self.findings.clear()
        self._bad = 0

    def _note_bad_records(self) -> None:
        for error in self.replayer.bad[self._bad :]:
            path = self.reading.path(error.segment)
            message = str(unreadable(path, error))
            self._add(CORRUPT, path, error.offset, 0, str(error), message)
        self._bad = len(self.replayer.bad)

    def _note_verdict(self) -> None:
        reading = self.reading
        known = any(finding.message == reading.verdict for finding in self.findings)
        if reading.verdict and not known:
            path, offset = reading.place
            self._add(reading.state, path, offset, 0, "", reading.verdict)

    def _note_damage(self, damage: Damage) -> None:
        if self.reading.state == TORN:
            return  # the verdict covers it
        path = self.reading.path(damage.segment)
        self._add(CORRUPT, path, damage.offset, damage.length, damage.reason)

    def _add(
        self, state: str, path: str, offset: int, length: int, reason: str, message: str = ""
    ) -> None:
        self.findings.append(Finding(state, path, offset, length, reason, message))
