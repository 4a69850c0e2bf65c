"""The two clocks of a machine: the one that only goes on, and the wall's, which may be set.
Integers of nanoseconds.
"""

from __future__ import annotations

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
BOOT = 1_700_000_000 * SECOND  # the wall's clock when the scenario begins


class Clock:
    def __init__(self) -> None:
        self.now = 1000 * SECOND
        self.ahead = BOOT  # the wall's clock before the other one

    @property
    def wall(self) -> int:
        return self.now + self.ahead

    def boots(self, uptime: int) -> None:
        """The machine starts again: the wall's clock goes on, the other one begins anew."""
        self.ahead += self.now - uptime
        self.now = uptime
