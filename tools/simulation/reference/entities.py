"""Jobs, tubes and clients of the reference model. No field holds a number that can be counted."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(eq=False)
class Tube:
    name: bytes
    made: int  # how many tubes were created before it
    pause: int = 0  # ns, as asked for; 0 when not paused
    paused_until: int = 0
    kept: bool = False  # recovered with its pause; stays until the pause ends
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
    deadline_at: int = 0  # when a delayed job is ready, or the TTR of a reserved one ends
    holder: Client | None = None
    taken: int = 0  # the number of this reserve, counted over all jobs
    reserves: int = 0
    timeouts: int = 0
    releases: int = 0
    buries: int = 0
    kicks: int = 0
    moves: int = 0  # to other tubes
    # What a put-with gave it, and what it has as a dead letter.
    key: bytes = b""
    until_reserve: bool = False
    expires_at: int = 0
    attempts: int = 0
    origin: bytes = b""
    reason: str = ""
    saved_reserves: int = 0  # the counts that its latest record has at least
    saved_timeouts: int = 0

    def save(self) -> None:
        """A record of the job is on disk now."""
        self.saved_reserves = self.reserves
        self.saved_timeouts = self.timeouts
        self.end_key()

    def end_key(self) -> None:
        """A key until the first reserve is gone, if the job was reserved."""
        if self.until_reserve and self.reserves:
            self.key, self.until_reserve = b"", False

    @property
    def has_attributes(self) -> bool:
        return any(self.attributes)

    @property
    def attributes(self) -> tuple[object, ...]:
        return (
            self.key, self.until_reserve, self.expires_at, self.attempts, self.origin, self.reason,
        )  # fmt: skip


@dataclass
class Upload:
    """A put whose body has not arrived yet."""

    id: int
    pri: int
    delay: int
    ttr: int
    nbytes: int
    begun_at: int
    refusal: bytes = b""  # the reply, if the body will be discarded
    tube: bytes = b""  # the name; empty: the tube that the client uses
    settings: dict[str, object] | None = None  # of a put-with


@dataclass(eq=False)
class Client:
    name: Hashable
    used: Tube
    watched: list[Tube]
    inbox: bytes = b""  # received, not parsed yet
    outbox: bytes = b""  # pending replies
    upload: Upload | None = None
    producer: bool = False
    worker: bool = False
    half_closed: bool = False  # it sends no more, so it no longer waits
    ended: bool = False  # all its bytes have arrived
    closed: bool = False  # no further command is executed
    wait_until: int | None = None  # None: for ever
    has_capabilities: bool = False  # it has said `capabilities`
    number: int = 0  # of the connection
    waits_since: int = 0
    batch: int = 0  # it waits in reserve-batch, for so many jobs at most


def swap_remove(tubes: list[Tube], tube: Tube) -> None:
    """Removes a tube; the last one takes its place."""
    place = tubes.index(tube)
    tubes[place] = tubes[-1]
    tubes.pop()
