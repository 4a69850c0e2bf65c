"""The machine that the server runs on: its disk, clocks and threads. It also decides in which
file-system call a server run ends.

May know: disk, clock, threads. Promises: each file-system call first pauses the calling simulated
thread, and may then be the last call of the run.
"""

from __future__ import annotations

import errno
import os
from random import Random

from .clock import SECOND, Clock
from .disk import MemoryDisk, PowerFailure
from .memory import Memory
from .threads import Scheduler

PLENTY = 1 << 40
KILL, CUT, BROKEN = "kill", "power cut", "broken disk"


class Machine:
    def __init__(self, rng: Random, memory: Memory) -> None:
        self.rng = rng
        self.memory = memory
        self.clock = Clock()
        self.scheduler = Scheduler()
        self.disk = MemoryDisk(rng.getrandbits(32))
        self.lacks = Random(0)  # decides what a disk lacks
        self.planned_end = ""  # how the run ends in the middle of a call
        self.end_in = 0  # after so many calls; 0: not in a call
        self.last_call = ""
        self.sync_failed = False
        self.hook()

    def hook(self) -> None:
        self.disk.before = self._before

    def _before(self, call: str, path: str) -> None:
        self.scheduler.pause()
        self.last_call = f"{call} {os.path.basename(path)}"
        if self.end_in:
            self.end_in -= 1
            if not self.end_in:
                self._end_run(call, path)

    def _end_run(self, call: str, path: str) -> None:
        if self.planned_end != BROKEN:
            raise PowerFailure
        self.sync_failed = self.sync_failed or call.startswith("sync")
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def plan_end(self) -> None:
        """Three of five runs end in a file-system call, many of these in an early one."""
        self.planned_end = self.rng.choice((KILL, KILL, CUT, CUT, CUT, BROKEN))
        self.end_in = (
            self.rng.randrange(1, self.rng.choice((10, 50, 300, 1500)))
            if self.rng.random() < 0.6
            else 0
        )

    # --- how a run ends

    def kill(self) -> None:
        """The process ends; the machine goes on."""
        self.scheduler.kill(PowerFailure())
        self.end_in = 0
        self.disk.after_kill()
        self.hook()

    def cut(self) -> None:
        """The power fails."""
        self.kill()
        self.disk = self.disk.after_crash(self.rng)
        self.hook()
        self.clock.reboot(self.rng.randrange(1, 100) * SECOND)
        self.sync_failed = False

    # --- free space

    @property
    def is_limited(self) -> bool:
        return min(self.disk.capacity, self.disk.largest_file) < PLENTY

    def limit(self, nbytes: int, segment_bytes: int) -> str:
        """Another program fills the disk, except for so many bytes. Sometimes there is also no
        space for the name of a new file; or no file may have more than segment_bytes instead.
        Returns what is limited.
        """
        lack = self.lacks.randrange(6)
        if lack == 0:
            self.disk.largest_file = segment_bytes
            return f"no file may have more than {segment_bytes} bytes"
        self.disk.capacity = self.disk.used() + nbytes
        if lack <= 2:
            self.disk.most_names = len(self.disk.names)
        return f"the disk has {self.disk.capacity} bytes, and {self.disk.most_names} names"

    def free(self) -> None:
        self.disk.free()
