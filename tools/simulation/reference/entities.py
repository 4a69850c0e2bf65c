"""Jobs, tubes and clients of the model server: fields, and nothing that could be counted instead."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(eq=False)
class Tube:
    name: bytes
    made: int  # how many were made before it
    pause: int = 0  # ns, as asked for; 0 when not paused
    paused_until: int = 0
    kept: bool = False  # came back with its pause, and stays until that ends
    total_jobs: int = 0
    deletes: int = 0
    pauses: int = 0


@dataclass(eq=False)
class Job:
    id: int
    tube: Tube
    pri: int
    delay: int
    ttr: int
    body: bytes
    created_at: int
    state: str = "ready"  # or reserved, delayed, buried
    deadline_at: int = 0  # ready time of a delayed job, TTR's end of a reserved one
    holder: Client | None = None
    taken: int = 0  # how many jobs were reserved before it
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0
    saved_reserves: int = 0  # what its last record on disk says at least
    saved_timeouts: int = 0

    def save(self) -> None:
        """There is a record of it."""
        self.saved_reserves = self.reserves
        self.saved_timeouts = self.timeouts


@dataclass
class Upload:
    """A put whose body is under way."""

    id: int
    pri: int
    delay: int
    ttr: int
    nbytes: int
    begun_at: int
    too_big: bool = False  # it will be thrown away


@dataclass(eq=False)
class Client:
    name: Hashable
    used: Tube
    watched: list[Tube]
    inbox: bytes = b""  # what it sent and was not looked at
    outbox: bytes = b""
    upload: Upload | None = None
    producer: bool = False
    worker: bool = False
    half_closed: bool = False  # it waits for nothing any longer
    ended: bool = False  # it has sent its last byte
    closed: bool = False  # nothing more will be answered
    wait_until: int | None = None  # None: for ever


def swap_remove(tubes: list[Tube], tube: Tube) -> None:
    """Takes a tube out; the last one moves into the hole."""
    place = tubes.index(tube)
    tubes[place] = tubes[-1]
    tubes.pop()
