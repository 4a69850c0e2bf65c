"""The machine's two clocks: boot time, and the wall clock, which can be set. Integers of
nanoseconds.
"""

from __future__ import annotations

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
FIRST_WALL_TIME = 1_700_000_000 * SECOND  # wall clock minus boot time at the start


# In 1883, at the epoch, and in 2231, where the largest delay ends beyond 64 bits.
WALL_TIMES = (-(1 << 61) - (1 << 58), 0, 8_250_000_000 * SECOND)


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.ahead = FIRST_WALL_TIME  # wall clock minus boot time

    @property
    def wall(self) -> int:
        return self.now + self.ahead

    def set_wall(self, wall: int) -> None:
        self.ahead = wall - self.now

    def reboot(self, uptime: int) -> None:
        """The wall clock goes on; boot time begins again and stands at `uptime`."""
        self.ahead += self.now - uptime
        self.now = uptime
