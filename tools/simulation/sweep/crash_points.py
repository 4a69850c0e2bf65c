"""The sweep: at every call of the file-system seam, the power fails several times and the process
is killed. Each time the rest of the disk is recovered and checked.

May know: the disk. Promises: crashes happen on copies of the disk, so the workload goes on and one
run covers all its calls. Some recoveries are crashed in turn, at one of their calls or at the end,
up to three deep.
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
CALLS = 80  # about the largest number of changing calls in a recovery
ALL = 1 << 62


class Subject(Protocol):
    """A workload that knows what its disk must have kept. Its methods raise Violation, or another
    error, if the disk has not kept it.
    """

    disk: MemoryDisk

    def read(self, left: MemoryDisk, killed: bool) -> int:
        """The last LSN on that disk."""

    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> None:
        """Starts on that disk and checks everything up to lsn."""


class Sweep:
    """counts: crash points, recoveries, and what the subject counts. tries: power failures per
    call, except for calls on spares, which get one.
    """

    def __init__(self, subject: Subject, rng: Random, tries: int, counts: Counter[str]) -> None:
        self.subject = subject
        self.rng = rng
        self.tries = tries
        self.counts = counts
        self._trace: list[str] = []

    def watch(self) -> None:
        """From now on each changing call on the subject's disk is a crash point."""
        self.subject.disk.underway = self._at_call

    def _at_call(self, call: str, path: str) -> None:
        self.counts["crash points"] += 1
        with self._tracing(f"call {self.counts['crash points']}, {call} {os.path.basename(path)}"):
            self.fail(1 if "/spare." in path else self.tries)

    def fail(self, tries: int = 2) -> None:
        """Fails the power so many times at this moment; once in three times also a kill."""
        for _ in range(tries):
            self._check(self._crashed(self.subject.disk), False, 0, ALL)
        if self.rng.randrange(3) == 0:
            self._check(self.subject.disk.fork(), True, 0, ALL)

    def _crashed(self, disk: MemoryDisk) -> MemoryDisk:
        return disk.after_crash(self.rng)

    def _check(self, left: MemoryDisk, killed: bool, least: int, most: int) -> None:
        """least: the LSN up to which an earlier recovery made the log durable. most: the last LSN
        that the first of several nested recoveries found.
        """
        with self._tracing("killed" if killed else "power failure"):
            found = self.subject.read(left, killed)
            if found < least:
                raise Violation(
                    f"expected what the recovery before found, up to LSN {least}, got LSN {found}"
                )
            self._recover(left, killed, min(found, most))

    def _recover(self, left: MemoryDisk, killed: bool, lsn: int) -> None:
        again = len(self._trace) < 2 * DEPTH and self.rng.random() < AGAIN
        if again:
            self._crash_within(left, 0 if killed else lsn, lsn)
        self.subject.recover(left, killed, lsn)
        self.counts["recoveries"] += 1
        if again:
            self._check(self._crashed(left), False, lsn, lsn)

    def _crash_within(self, left: MemoryDisk, least: int, lsn: int) -> None:
        """One of the recovery's calls is a crash point."""
        calls_left = self.rng.randrange(1, CALLS)

        def underway(call: str, path: str) -> None:
            nonlocal calls_left
            calls_left -= 1
            if calls_left == 0:
                with self._tracing(f"recovery's {call} {os.path.basename(path)}"):
                    self._check(self._crashed(left), False, least, lsn)

        left.underway = underway

    @contextmanager
    def _tracing(self, where: str) -> Iterator[None]:
        """Turns every error within into a Violation, and adds `where` to it."""
        self._trace.append(where)
        try:
            yield
        except Exception as error:
            what = f"expected to go on, got {type(error).__name__}: {error}"
            raise Violation(what, where) from error
        except Violation as violation:
            raise Violation(violation.what, where, *violation.where) from violation
        finally:
            self._trace.pop()
