"""What the clients know: jobs by id, and what was done to each since the last restart.

No reply is forgotten before the audit has checked it. Two jobs with the same id are a Fault at
once.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from .fault import Fault
from .model import ABSENT_STATE, CLOCK_S, Act, State, as_kind

SERIAL_BYTES = 8  # at the start of longer bodies, so that no two are equal
U32 = 0xFFFFFFFF


class Put(NamedTuple):
    """A put command. key, until_reserve, attempts: of a put-with."""

    tube: bytes
    ttr: int
    body: bytes
    act: Act
    key: bytes = b""
    until_reserve: bool = False
    attempts: int = 0


class Job:
    """A job of the clients.

    tube: empty while the put has no reply, if the job was already seen.
    """

    __slots__ = ("acts", "body", "created_from", "created_to", "id", "key", "start", "tube", "ttr")

    def __init__(self, id: int, body: bytes) -> None:
        self.id = id
        self.body = body
        self.tube = b""
        self.ttr = 0
        self.key = b""  # that it was put with
        self.created_from = self.created_to = 0.0
        self.start: State = ABSENT_STATE  # at the last restart
        self.acts: list[Act] = []  # since the last restart

    def was_put(self, put: Put) -> None:
        self.tube = put.tube
        self.ttr = put.ttr
        self.key = put.key
        self.start = self.start._replace(attempts=put.attempts, until_reserve=put.until_reserve)
        self.created_from = put.act.sent_at
        self.created_to = put.act.answered_at
        self.acts.append(put.act)


class Pool:
    """A set of ids with O(1) random choice and removal."""

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

    def choose(self, rng: random.Random) -> int:
        """A random id, 0 if there is none."""
        return self._ids[int(rng.random() * len(self._ids))] if self._ids else 0


class PrivateTube:
    """The tube of a single client, so the order of its buried and delayed jobs is known."""

    def __init__(self, tube: bytes) -> None:
        self.tube = tube
        self.pool = Pool()
        self.buried: dict[int, None] = {}  # in the order of burying
        self.delayed: dict[
            int, int
        ] = {}  # id -> delay; the delays are far apart, so this is their order
        self.delays = 0
        self.pauses: list[Pause] = [
            Pause(0, Act("pause-tube", 0, 0, 0.0))
        ]  # the last one with a reply, then those in flight

    def state_changed(self, id: int) -> None:
        """The job is no longer buried or delayed."""
        self.buried.pop(id, None)
        self.delayed.pop(id, None)

    def first(self, bound: int) -> list[int]:
        """The jobs that `kick bound` kicks."""
        return (list(self.buried) or sorted(self.delayed, key=self.delayed.__getitem__))[:bound]


class Pause(NamedTuple):
    seconds: int
    act: Act


class Knowledge:
    def __init__(self, rng: random.Random, largest_body: int = 65535) -> None:
        self.rng = rng
        self.jobs: dict[int, Job] = {}
        self.shared = Pool()  # jobs that any client may use
        self.private_tubes: dict[bytes, PrivateTube] = {}
        self.highest_id = 0
        self.id_at_restart = 0  # larger ids are new since the restart
        self.refused_puts = 0  # since the last restart
        # Connections that the server has closed: when, and the end of a reservation. That is no
        # reply, so a kill may undo it.
        self.ended: list[tuple[float, Act]] = []
        self.existing = 0  # puts since the last restart whose key was taken
        self._holders: dict[tuple[bytes, bytes], list[Job]] = {}  # jobs with a key, by tube and key
        # Of jobs whose put has no reply yet, what other puts were told: by id.
        self._told: dict[int, list[tuple[bytes, bytes, Act]]] = {}
        self.answers = 0
        self.clients = 0
        self.largest_body = largest_body
        self._serials = 0
        self._filler = rng.randbytes(largest_body + 4096) + b"\r\n"

    def body(self, nbytes: int) -> bytes:
        self._serials += 1
        at = int(self.rng.random() * 4096)
        if nbytes < SERIAL_BYTES:
            return self._filler[at : at + nbytes]
        return (
            self._serials.to_bytes(SERIAL_BYTES, "little")
            + self._filler[at : at + nbytes - SERIAL_BYTES]
        )

    def met(self, id: int, body: bytes) -> Job:
        """A job was seen. A known job must have the same body."""
        job = self.jobs.get(id)
        if job is None:
            self.highest_id = max(self.highest_id, id)
            job = self.jobs[id] = Job(id, body)
        elif job.body != body:
            raise Fault(
                f"job {id} has another body: {len(body)} bytes {body[:40]!r}, "
                f"not {len(job.body)} bytes {job.body[:40]!r}"
            )
        return job

    def inserted(self, id: int, put: Put) -> Job:
        known = self.jobs.get(id)
        if known is not None and known.tube:
            raise Fault(f"id {id} was assigned twice")
        job = self.met(id, put.body)
        self.was_put(job, put)
        self.pool(put.tube).add(id)
        return job

    def was_put(self, job: Job, put: Put) -> None:
        """The job comes from this put. No other job had its key when it took effect."""
        job.was_put(put)
        for tube, key, act in self._told.pop(job.id, ()):
            self._has_key(job, tube, key, act)
        if put.key:
            holders = self._holders.setdefault((put.tube, put.key), [])
            for other in holders:
                other.acts.append(as_kind(put.act, "key is free"))
            holders.append(job)

    def exists(self, id: int, put: Put) -> None:
        """The reply to a put: this job has its key."""
        self.existing += 1
        self.highest_id = max(self.highest_id, id)
        job = self.jobs.get(id)
        if job is None or not job.tube:
            self._told.setdefault(id, []).append((put.tube, put.key, put.act))
        else:
            self._has_key(job, put.tube, put.key, put.act)

    def _has_key(self, job: Job, tube: bytes, key: bytes, act: Act) -> None:
        if (job.tube, job.key) != (tube, key):
            raise Fault(
                f"job {job.id}, put into {job.tube!r} with key {job.key!r}, "
                f"is said to have key {key!r} in {tube!r}"
            )
        job.acts.append(as_kind(act, "key is taken"))

    def confirm(self, sent_at: float) -> None:
        """A reply to a command that was sent then. What the server did before is durable."""
        for ended_at, act in self.ended:
            if ended_at < sent_at:
                act.answered_at = ended_at
        self.ended = [each for each in self.ended if each[0] >= sent_at]

    def check_told(self) -> None:
        """A reply that names a job is a promise, even if the put of that job has no reply."""
        if self._told:
            raise Fault(f"jobs that have a key, according to replies, are gone: {self._told}")

    def pool(self, tube: bytes) -> Pool:
        private = self.private_tubes.get(tube)
        return self.shared if private is None else private.pool

    def deleted(self, job: Job) -> None:
        """The job is deleted as far as the clients know. The audit removes it."""
        self.pool(job.tube).discard(job.id)

    def forget(self, job: Job) -> None:
        """The job is gone, and the audit is over."""
        del self.jobs[job.id]
        self.deleted(job)
        if job.key:
            self._holders[job.tube, job.key].remove(job)

    def clear(self) -> None:
        """All jobs are deleted, and all pauses have ended."""
        self.jobs.clear()
        self.private_tubes.clear()
        self._holders.clear()


def pauses_that_explain(
    pauses: list[Pause], seconds: int, left: int, asked_at: float, answered_at: float
) -> list[Pause]:
    """Which of the pauses can be the one that stats-tube shows: its `pause` and `pause-time-left`.

    More than one, if a client paused a tube twice within a second or two. A later audit may tell.
    """
    return [
        pause
        for pause in pauses
        if pause.seconds == seconds
        and (
            not seconds
            or pause.act.sent_at + seconds - answered_at - 1 - CLOCK_S
            <= left
            <= pause.act.answered_at + seconds - asked_at + CLOCK_S
        )
    ]
