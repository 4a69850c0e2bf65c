"""One walk over a log: its frames, the jobs they make, and everything that is wrong with either.

May know: reading and replay. Promises: what is found is told in the server's words where the server
has any, in the order in which the server would meet it; a newer version ends the walk before
anything is believed.
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
from beanstalkd_binlog.status import BAD_LOG, CLEAN, NewerLog, complain
from beanstalkd_binlog.text import count
from beanstalkd_py.binlog.opening import NewerRecords, Unreadable, forgotten, read_meta, unreadable


class Finding:
    """Something that is wrong. `state` is torn or corrupt; `said` is what the server says, "" if it
    would not get so far.
    """

    __slots__ = ("length", "offset", "path", "reason", "said", "state")

    def __init__(
        self, state: str, path: str, offset: int, length: int, reason: str, said: str = ""
    ) -> None:
        self.state = state
        self.path = path
        self.offset = offset
        self.length = length
        self.reason = reason
        self.said = said

    def __str__(self) -> str:
        if self.said:
            return self.said
        place = f"{self.path}: at offset {self.offset}"
        return (
            f"{place}: {self.reason}"
            if not self.length
            else f"{place}: {self.length} bytes damaged: {self.reason}"
        )


class Walk:
    """Iterate it (once) for Frame, Gap and Damage; `replayer` has then applied what came before. Or
    just `finish` it.

    replay: False for who applies each frame himself. alone: the caller has the lock, so a half
    written end is torn.
    """

    def __init__(
        self,
        directory: str,
        progress: Reporter | None = None,
        replay: bool = True,
        alone: bool = False,
    ) -> None:
        check(directory)
        self.directory = directory
        self._progress = progress or Silent()
        self.reading = Reading(directory, self._progress, alone)
        self.replayer = LightReplayer()
        self.findings: list[Finding] = []
        self.gaps = 0
        self._applies = replay
        self._segment = 0
        self._bad = 0

    def __iter__(self) -> Iterator[wal.Frame | Gap | Damage]:
        reading = self.reading
        try:
            for found in reading:
                self._say_verdict()
                if isinstance(found, wal.Frame):
                    self._enter(found.segment)
                    if self._applies:
                        self.replayer.apply(found)
                elif isinstance(found, Gap):
                    self._begin_anew()
                else:
                    self._damaged(found)
                yield found
                self._note_bad()
            self._say_verdict()
            if reading.segments and not reading.verdict:
                self._enter(max(reading.segments))
        except (wal.NewerVersion, NewerRecords) as error:
            raise NewerLog(str(error)) from error
        finally:
            self._progress.close()

    def finish(self) -> None:
        """Reads what is left, and says what is missing. `replayer.state` is then what the server
        would begin with.
        """
        for _ in self:
            pass
        self.settle()

    def settle(self) -> None:
        """The end of the replay: updates whose job never came."""
        orphan = self.replayer.finish()
        if orphan is None:
            return
        path = self.reading.path(orphan.segment)
        if self.corrupt:  # the server does not get so far
            more = len(self.replayer.orphans) - 1
            self._find(
                CORRUPT,
                path,
                orphan.offset,
                0,
                f"{orphan}" + (f"; {count(more, 'more job')} like it" if more else ""),
            )
        elif orphan.lsn <= self.reading.watermark:
            self._find(
                CORRUPT, path, orphan.offset, 0, orphan.reason, str(unreadable(path, orphan))
            )
        else:
            self._find(TORN, path, orphan.offset, 0, orphan.reason, forgotten(orphan))

    @property
    def corrupt(self) -> bool:
        return any(finding.state == CORRUPT for finding in self.findings)

    def report(self) -> int:
        """Says on stderr what is wrong. Returns the exit status of a command that shows what is
        whole.
        """
        for finding in self.findings:
            if finding.said:
                complain(str(finding))
        if not self.corrupt:
            return CLEAN
        complain(
            f"{self.directory}: damaged; shown is what is whole (beanstalkd-binlog verify lists all of it)"
        )
        return BAD_LOG

    # --- as it goes

    def _enter(self, number: int) -> None:
        """Another segment: its metadata says which records it has."""
        if number == self._segment:
            return
        self._segment = number
        segment = self.reading.segments[number]
        if not segment.meta and not segment.base_lsn:
            return  # no header: that is told elsewhere
        try:
            read_meta(segment.path, segment.meta)
        except NewerRecords:
            raise
        except Unreadable as error:
            self._find(CORRUPT, segment.path, 0, 0, "no metadata", str(error))

    def _begin_anew(self) -> None:
        """The server dropped what was read so far: nothing of it is needed, so nothing of it
        counts.
        """
        self.gaps += 1
        self.replayer = LightReplayer()
        self.findings.clear()
        self._bad = 0

    def _note_bad(self) -> None:
        bad = self.replayer.bad
        while self._bad < len(bad):
            error = bad[self._bad]
            self._bad += 1
            path = self.reading.path(error.segment)
            self._find(CORRUPT, path, error.offset, 0, str(error), str(unreadable(path, error)))

    def _say_verdict(self) -> None:
        reading = self.reading
        if reading.verdict and not any(
            finding.said == reading.verdict for finding in self.findings
        ):
            path, offset = reading.place
            self._find(reading.state, path, offset, 0, "", reading.verdict)

    def _damaged(self, damage: Damage) -> None:
        if self.reading.state == TORN:
            return  # the verdict says it all
        self._find(
            CORRUPT, self.reading.path(damage.segment), damage.offset, damage.length, damage.reason
        )

    def _find(
        self, state: str, path: str, offset: int, length: int, reason: str, said: str = ""
    ) -> None:
        self.findings.append(Finding(state, path, offset, length, reason, said))
