"""A workload: several runs on one disk. Every call of a run can be a crash point or fail.

May know: the disk, the sweep, the modes. Promises: after a kill or a power failure, `read` and
`recover` raise Violation if the disk has not kept what the workload was promised.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from random import Random

import beanstalkd_wal as wal

from ..disk import MemoryDisk
from .crash_points import Sweep
from .process import Mode


class Workload(ABC):
    """modes: those that the runs choose from. tries: power failures at each crash point."""

    def __init__(
        self, seed: int, modes: tuple[Mode, ...], counts: Counter[str], tries: int
    ) -> None:
        self.rng = Random(seed)
        self.modes = modes
        self.disk = MemoryDisk(seed)
        self.disk.renames_by_link = seed % 3 == 0  # a crash point between link and unlink
        self.sweep = Sweep(self, Random(~seed), tries, counts)
        self.kept = 0  # records up to this LSN survive a kill
        self.durable = 0  # records up to this LSN survive a power cut, in any mode

    # --- one run

    @abstractmethod
    def begin(self, mode: Mode) -> None:
        """Prepares the next run."""

    @abstractmethod
    def start(self) -> None:
        """Opens the log on the disk."""

    @abstractmethod
    def work(self, steps: int) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def end(self, killed: bool) -> None:
        """The run ends; the next one gets the disk that a kill or a power failure leaves."""

    def disk_left(self, killed: bool) -> MemoryDisk:
        return self.disk.fork() if killed else self.disk.after_crash(self.rng)

    # --- checks

    @property
    @abstractmethod
    def opened_log(self) -> wal.Log | None:
        """None until the start has opened it."""

    @abstractmethod
    def check_serves_again(self, headroom_hidden: bool) -> None:
        """Called when an injected error has gone. Raises Violation if something was refused that
        must not be refused, or if something is still refused a while later.

        headroom_hidden: headroom was lost with the power, or see `Fault.hides_headroom`.
        """

    @abstractmethod
    def read(self, left: MemoryDisk, killed: bool) -> int:
        """As in `Subject`."""

    @abstractmethod
    def recover(self, left: MemoryDisk, killed: bool, lsn: int) -> None:
        """As in `Subject`."""
