"""Clocks of a real server that a test shifts: the machine was suspended, or the wall clock was set.

Only processes started with `environment` see the shifted clocks. Raises NoCompiler without a C
compiler.
"""

from __future__ import annotations

from pathlib import Path

from .closing import Closing
from .preload import Page

SECOND = 1_000_000_000
_SOURCE = Path(__file__).with_name("shifted_clocks.c")


class ShiftedClocks(Closing):
    """boot_s, wall_s: by how many seconds boot time and the wall clock are ahead of the kernel's;
    negative: behind.
    """

    def __init__(self) -> None:
        self._page = Page(_SOURCE, "SHIFTED_CLOCKS", 2)
        self.environment = self._page.environment
        self.boot_s = self.wall_s = 0

    def suspend(self, seconds: int) -> None:
        """The machine is suspended for so long, and wakes up now."""
        self.boot_s += seconds
        self.wall_s += seconds
        self._write()

    def set_wall(self, seconds: int) -> None:
        """The wall clock is set: from now on it is so far ahead."""
        self.wall_s = seconds
        self._write()

    def _write(self) -> None:
        self._page.write(self.boot_s * SECOND, self.wall_s * SECOND)

    def close(self) -> None:
        self._page.close()
