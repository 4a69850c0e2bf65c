"""The sweep: at every call of the seam the power fails, several times over, and the process is
killed; what is left is recovered each time.

May know: the disk. Promises: the work goes on behind each of these as if nothing had happened, so
all its calls have their turn in one run; of the recoveries some are crashed in turn, at one of
their calls or when they are done, and so on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Protocol

from ..disk import MemoryDisk
from ..violation import Violation

DEPTH = 3  # a recovery of a recovery of a recovery
AGAIN = 0.25  # the share of recoveries that are crashed
CALLS = 80  # that change something in a recovery, at most, about
ALL = 1 << 62


class Subject(Protocol):
    """What works on a disk, and knows what that must have kept. All three raise Violation, or anything
    else, if it has not.
    """

    disk: MemoryDisk
    unsynced: bool  # nothing is promised to outlast the power, and names have to change in order

    def read(self, left: MemoryDisk, killed: bool) -> int | None:
        """Up to which LSN there is something. None: it may be refused, and is."""

    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> bool:
        """Starts on it; everything up to lsn must be as it was. False: as with read."""


class Sweep:
    """counts: crash points, recoveries and what else the subject counts."""

    def __init__(self, subject: Subject, rng: Random, tries: int, counts: Counter[str]) -> None:
        self.subject = subject
        self.rng = rng
        # power failures per call; but one where a spare is prepared, which is most of the calls
        self.tries = tries
        self.counts = counts
        self._trace: list[str] = []

    def watch(self) -> None:
        """From now on each call on the subject's disk is a crash point."""
        self.subject.disk.underway = self._at_call

    def _at_call(self, call: str, path: str) -> None:
        self.counts["crash points"] += 1
        with self._tracing(f"call {self.counts['crash points']}, {call} {os.path.basename(path)}"):
            self.fail(1 if "/spare." in path else self.tries)

    def fail(self, tries: int = 2) -> None:
        """The power fails, and the process is killed, here and now."""
        for _ in range(tries):
            self._judge(self._crashed(self.subject.disk), False, 0, ALL)
        if self.rng.randrange(3) == 0:
            self._judge(self.subject.disk.fork(), True, 0, ALL)

    def _crashed(self, disk: MemoryDisk) -> MemoryDisk:
        return disk.after_crash(self.rng, ordered=self.subject.unsynced)

    def _judge(self, left: MemoryDisk, killed: bool, least: int, most: int) -> None:
        """least: what is there for good; most: what the first of a row of recoveries found."""
        with self._tracing("killed" if killed else "power failure"):
            found = self.subject.read(left, killed)
            if found is not None and found < least:
                raise Violation(
                    f"expected what the recovery before found, up to LSN {least}, got LSN {found}"
                )
            if found is None or not self._recover(left, killed, min(found, most)):
                self.counts["refused"] += 1

    def _recover(self, left: MemoryDisk, killed: bool, lsn: int) -> bool:
        again = len(self._trace) < 2 * DEPTH and self.rng.random() < AGAIN
        if again:
            self._crash_within(left, 0 if killed or self.subject.unsynced else lsn, lsn)
        if not self.subject.recover(left, killed, lsn):
            return False
        self.counts["recoveries"] += 1
        if again:
            self._judge(self._crashed(left), False, 0 if self.subject.unsynced else lsn, lsn)
        return True

    def _crash_within(self, left: MemoryDisk, least: int, lsn: int) -> None:
        calls_left = self.rng.randrange(1, CALLS)

        def underway(call: str, path: str) -> None:
            nonlocal calls_left
            calls_left -= 1
            if calls_left == 0:
                with self._tracing(f"recovery's {call} {os.path.basename(path)}"):
                    self._judge(self._crashed(left), False, least, lsn)

        left.underway = underway

    @contextmanager
    def _tracing(self, where: str) -> Iterator[None]:
        """Everything that goes wrong within is Violation, and says where."""
        self._trace.append(where)
        try:
            yield
        except Exception as error:
            raise Violation(
                f"expected to go on, got {type(error).__name__}: {error}", where
            ) from error
        except Violation as wrong:
            raise Violation(wrong.what, where, *wrong.where) from wrong
        finally:
            self._trace.pop()
