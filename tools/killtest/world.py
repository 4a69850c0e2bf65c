"""All that the clients know: jobs by id, and what was done to each since the last restart.

May know: the model. Promises: nothing that was answered is forgotten before it was checked; what no
two jobs may share is noticed at once.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .model import ABSENT_STATE, Act, State

SERIAL_BYTES = 8  # at the beginning of a body that is long enough: so no two are alike
U32 = 0xFFFFFFFF


class Fault(AssertionError):
    """The server broke a promise."""


class Put(NamedTuple):
    """What a client asked for."""

    tube: bytes
    ttr: int
    body: bytes
    act: Act


class Job:
    """tube is empty as long as the put's answer is not known, though the job was met already."""

    __slots__ = ("acts", "body", "created_from", "created_to", "id", "start", "tube", "ttr")

    def __init__(self, id: int, body: bytes) -> None:
        self.id = id
        self.body = body
        self.tube = b""
        self.ttr = 0
        self.created_from = self.created_to = 0.0
        self.start: State = ABSENT_STATE  # at the last restart
        self.acts: list[Act] = []  # since then

    def was_put(self, put: Put) -> None:
        self.tube = put.tube
        self.ttr = put.ttr
        self.created_from = put.act.sent_at
        self.created_to = put.act.answered_at
        self.acts.append(put.act)


class Pool:
    """Ids to choose from at random; taking one out costs no more than putting it in."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._places: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: int) -> None:
        if id not in self._places:
            self._places[id] = len(self._ids)
            self._ids.append(id)

    def discard(self, id: int) -> None:
        place = self._places.pop(id, None)
        if place is not None:
            last = self._ids.pop()
            if last != id:
                self._ids[place] = last
                self._places[last] = place

    def choose(self, chance: random.Random) -> int:
        """0 if there is none."""
        return self._ids[int(chance.random() * len(self._ids))] if self._ids else 0


class Den:
    """The tube of a lonely client: nobody else touches its jobs, so the order of everything in it
    is known.
    """

    def __init__(self, tube: bytes) -> None:
        self.tube = tube
        self.pool = Pool()
        self.buried: dict[int, None] = {}  # in the order of burying
        self.delayed: dict[
            int, int
        ] = {}  # id -> delay; they lie so far apart that this is the order
        self.delays = 0
        self.pauses: list[Pause] = [
            Pause(0, Act("pause-tube", 0, 0, 0.0))
        ]  # the last one answered, then those under way

    def moved(self, id: int) -> None:
        """It is neither buried nor delayed, at least for the moment."""
        self.buried.pop(id, None)
        self.delayed.pop(id, None)

    def first(self, bound: int) -> list[int]:
        """Whom `kick bound` moves."""
        return (list(self.buried) or sorted(self.delayed, key=self.delayed.__getitem__))[:bound]


class Pause(NamedTuple):
    seconds: int
    act: Act


class World:
    def __init__(self, chance: random.Random, largest_body: int = 65535) -> None:
        self.chance = chance
        self.jobs: dict[int, Job] = {}
        self.shared = Pool()  # jobs that any client may touch
        self.dens: dict[bytes, Den] = {}
        self.highest_id = 0
        self.id_at_restart = 0  # nothing at or below it is new
        self.refused_puts = 0  # since the last restart
        self.answers = 0
        self.clients = 0
        self.largest_body = largest_body
        self._serials = 0
        self._stuff = chance.randbytes(largest_body + 4096) + b"\r\n"

    def body(self, nbytes: int) -> bytes:
        self._serials += 1
        at = int(self.chance.random() * 4096)
        if nbytes < SERIAL_BYTES:
            return self._stuff[at : at + nbytes]
        return (
            self._serials.to_bytes(SERIAL_BYTES, "little")
            + self._stuff[at : at + nbytes - SERIAL_BYTES]
        )

    def met(self, id: int, body: bytes) -> Job:
        """A job was seen, by id and body. A known one must have the body it had."""
        job = self.jobs.get(id)
        if job is None:
            self.highest_id = max(self.highest_id, id)
            job = self.jobs[id] = Job(id, body)
        elif job.body != body:
            raise Fault(
                f"job {id} has another body: {len(body)} bytes {body[:40]!r}, not {len(job.body)} bytes {job.body[:40]!r}"
            )
        return job

    def inserted(self, id: int, put: Put) -> Job:
        known = self.jobs.get(id)
        if known is not None and known.tube:
            raise Fault(f"id {id} was given twice")
        job = self.met(id, put.body)
        job.was_put(put)
        self.pool(put.tube).add(id)
        return job

    def pool(self, tube: bytes) -> Pool:
        den = self.dens.get(tube)
        return self.shared if den is None else den.pool

    def gone(self, job: Job) -> None:
        """As far as one knows: not chosen any more. The audit forgets it."""
        self.pool(job.tube).discard(job.id)
