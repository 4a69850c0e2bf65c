"""What the judge does to both servers, one after another.

A sequence is a list of moves and the options it is played with: a value that can be played again,
shortened and written down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Move(NamedTuple):
    """verb: open, send, shutdown, close (of a client), wait, drain, restart (after a SIGKILL: all
    clients are gone).
    """

    verb: str
    name: str = ""
    data: bytes = b""
    seconds: int = 0


@dataclass(frozen=True)
class Setting:
    """How both servers are run, and how fast time goes."""

    max_job_size: int = 65535
    logged: bool = False
    unix: bool = False
    timed: bool = False  # seconds go by
    crowd: bool = False  # clients may wait for the same tube
    restarts: bool = False  # in the end; no body is then as large as allowed (row max-size)

    @property
    def tick_ns(self) -> int:
        """From one move to the next: so much that parts of a second do not add up to whole ones
        within a sequence.
        """
        return 10_370_000 if self.timed else 1_003_000

    @property
    def stir_ns(self) -> int:
        """How far looking at it takes the clock: where something falls due at certain instants, not
        far.
        """
        return 90_000 if self.timed else 1_000_000_000

    @property
    def options(self) -> list[str]:
        return ["-z", str(self.max_job_size)]


@dataclass
class Sequence:
    setting: Setting
    moves: list[Move] = field(default_factory=list)
