"""A clock that the judge controls and both servers read, so that delays and TTRs take no real time.

Every server started with `environment` reads the same time. The time stands still between two
actions, except for `drift_ns`. It goes back only through `set_wall`. Raises NoCompiler without a C
compiler.
"""

from __future__ import annotations

from pathlib import Path

from testkit.closing import Closing
from testkit.preload import Page

SECOND = 1_000_000_000
_SOURCE = Path(__file__).with_name("clock.c")
_WALL_START = 1_700_000_000 * SECOND
# Far ahead of the kernel clock: a deadline computed from it stays in the kernel's future.
_MONOTONIC_START = 1_000_000_000 * SECOND


class Clock(Closing):
    """now: the current time, monotonic ns.

    drift_ns: by how much repeated reading may advance the time of a server beyond `now`.
    """

    def __init__(self) -> None:
        self._page = Page(_SOURCE, "JUDGE_CLOCK", 3)
        self.environment = self._page.environment
        self._ahead = 0
        self.reset()

    def reset(self, drift_ns: int = SECOND) -> None:
        """Resets the time. The servers must not be running yet."""
        self.drift_ns = drift_ns
        self.now = _MONOTONIC_START
        self._ahead = 0
        self._write()

    def set(self, now: int) -> None:
        """Sets the monotonic time in ns; the wall clock advances by the same amount."""
        assert now >= self.now, "time must not go back"
        self.now = now
        self._write()

    def set_wall(self, seconds: int) -> None:
        """Moves the wall clock by so many seconds."""
        self._ahead += seconds * SECOND
        self._write()

    def _write(self) -> None:
        self._page.write(
            _WALL_START + self._ahead + self.now - _MONOTONIC_START, self.now, self.drift_ns
        )

    def close(self) -> None:
        self._page.close()
