"""The machine that the server runs on: its disk, its clocks, its threads, and the call in which its
run ends.

May know: disk, clock, scheduler. Promises: each call of the file system lets the owner of a thread get
on, and may be the last one.
"""

from __future__ import annotations

import errno
import os
from random import Random

from .clock import SECOND, Clock
from .disk import MemoryDisk, PowerFailure
from .threads import Scheduler

PLENTY = 1 << 40
KILL, CUT, BROKEN = "kill", "power cut", "broken disk"


class Machine:
    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.clock = Clock()
        self.scheduler = Scheduler()
        self.disk = MemoryDisk(rng.getrandbits(32))
        self.doom = ""  # how the run ends in the middle of a call
        self.doom_at = 0  # calls from now on; 0: it does not
        self.last_call = ""
        self.sync_failed = False
        self.hook()

    def hook(self) -> None:
        self.disk.before = self._before

    def _before(self, call: str, path: str) -> None:
        self.scheduler.pause()
        self.last_call = f"{call} {os.path.basename(path)}"
        if self.doom_at:
            self.doom_at -= 1
            if not self.doom_at:
                self._end_in(call, path)

    def _end_in(self, call: str, path: str) -> None:
        if self.doom != BROKEN:
            raise PowerFailure
        self.sync_failed = self.sync_failed or call.startswith("sync")
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def arm(self) -> None:
        """Half of all lives end in some call, many of these soon."""
        self.doom = self.rng.choice((KILL, KILL, CUT, CUT, CUT, BROKEN))
        self.doom_at = (
            self.rng.randrange(1, self.rng.choice((10, 50, 300, 1500)))
            if self.rng.random() < 0.6
            else 0
        )

    # --- ends

    def kill(self) -> None:
        """The process is gone."""
        self.scheduler.end(PowerFailure())
        self.doom_at = 0
        self.disk.after_kill()
        self.hook()

    def cut(self, ordered: bool) -> None:
        """The power is gone as well."""
        self.kill()
        self.disk = self.disk.after_crash(self.rng, ordered)
        self.hook()
        self.clock.boots(self.rng.randrange(1, 100) * SECOND)
        self.sync_failed = False

    # --- room

    @property
    def is_limited(self) -> bool:
        return self.disk.capacity < PLENTY

    def limit(self, nbytes: int) -> None:
        """Somebody else takes all of the disk but for so many bytes."""
        self.disk.capacity = self.disk.used() + nbytes

    def free(self) -> None:
        self.disk.capacity = PLENTY
