"""The machine's two clocks: the monotonic clock, and the wall clock, which can be set. Integers of
nanoseconds.
"""

from __future__ import annotations

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
FIRST_WALL_TIME = 1_700_000_000 * SECOND  # wall clock minus monotonic clock at the start


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.ahead = FIRST_WALL_TIME  # wall clock minus monotonic clock

    @property
    def wall(self) -> int:
        return self.now + self.ahead

    def reboot(self, uptime: int) -> None:
        """The wall clock goes on; the monotonic clock begins again and stands at `uptime`."""
        self.ahead += self.now - uptime
        self.now = uptime
