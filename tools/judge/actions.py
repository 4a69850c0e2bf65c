"""The actions that the judge performs on both servers.

A sequence is a list of actions with its setting. It can be replayed, shortened and written to a
file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Action(NamedTuple):
    """verb: open, send, shutdown, close (a client), wait, drain, restart.

    A restart is a SIGKILL and a start; it closes all clients.
    """

    verb: str
    name: str = ""
    data: bytes = b""
    seconds: int = 0


@dataclass(frozen=True)
class Setting:
    """How both servers run, and how time passes."""

    max_job_size: int = 65535
    logged: bool = False
    unix: bool = False
    timed: bool = False  # time passes between the actions
    shared_tube: bool = False  # clients may wait for the same tube
    mixed: str = ""  # the seed of the extension commands that are mixed in; empty: none
    restarts: bool = False  # at the end; bodies are then smaller than the maximum (row max-size)

    @property
    def tick_ns(self) -> int:
        """The time between two actions; fractions of a second do not add up to a whole one."""
        return 10_370_000 if self.timed else 1_003_000

    @property
    def drift_ns(self) -> int:
        """How far reading the clock may advance it; little if deadlines are exact."""
        return 90_000 if self.timed else 1_000_000_000

    @property
    def options(self) -> list[str]:
        return ["-z", str(self.max_job_size)]


@dataclass
class Sequence:
    setting: Setting
    actions: list[Action] = field(default_factory=list)
