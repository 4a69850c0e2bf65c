"""After a restart: every job is asked for, and must be in one of the states that the answers before
the crash allow.

May know: the world, a connection to the server. Promises: whatever is there and should not be, or
is not there and should, is a Fault that tells the job's history; afterwards the world is what the
server says it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from .client import Client, Command, seen
from .conversation import Conversation, batches, put
from .model import (
    ABSENT,
    BURIED,
    CLOCK_S,
    DELAYED,
    GONE,
    UNANSWERED,
    Act,
    Seen,
    outcomes,
    start_from,
    survived,
)
from .replies import Reply, fields
from .world import Den, Fault, Job, Put, World


class Found:
    """A job as the server has it."""

    __slots__ = ("age", "body", "id", "seen", "tube", "ttr")

    def __init__(self, said: dict[str, str], body: bytes, looked: Seen) -> None:
        self.id = int(said["id"])
        self.tube = said["tube"].encode()
        self.ttr = int(said["ttr"])
        self.age = int(said["age"])
        self.body = body
        self.seen = looked


class Audit:
    """clients: those of the load that the crash ended."""

    def __init__(self, world: World, clients: Iterable[Client], server: Conversation) -> None:
        self._world = world
        self._server = server
        self._puts: list[Put] = []  # not answered
        self._reserves: list[Act] = []  # not answered: of what job is anybody's guess
        self._kicks: dict[bytes, list[Act]] = {}  # not answered, by tube
        self._reburied: list[tuple[int, int, Den, int]] = []
        for client in clients:
            for command in client.under_way:
                self._file(client, command)

    def _file(self, client: Client, command: Command) -> None:
        """What was not answered may have happened."""
        act = command.act
        if command.put is not None:
            self._puts.append(command.put)
        elif act.kind == "reserve":
            self._reserves.append(act)
        elif act.kind == "kick":
            assert client.den is not None
            self._kicks.setdefault(client.den.tube, []).append(
                Act("kick-job", act.by, act.order, act.sent_at)
            )
        elif command.id:
            self._world.jobs[command.id].acts.append(act)

    def run(self) -> None:
        """Raises Fault."""
        world = self._world
        there = look(self._server, sorted(world.jobs))
        self._look_for_strangers(there)
        for job in world.jobs.values():
            found = there.get(job.id)
            if not job.tube:
                self._adopt(job, found)
            self._check(job, found)
        for den in world.dens.values():
            self._check_pause(den)
        for job in list(world.jobs.values()):
            self._settle(job, there.get(job.id))
        self._rebury()
        self._check_next_id()

    # --- asking

    def _look_for_strangers(self, there: dict[int, Found]) -> None:
        """Jobs that no answer told of: puts that were under way, or something that should be gone."""
        world = self._world
        stats = self._server.stats()
        counts = {
            where: int(stats[f"current-jobs-{where}"])
            for where in ("ready", "delayed", "buried", "reserved")
        }
        if counts["reserved"]:
            raise Fault(f"{counts['reserved']} jobs are reserved after a restart")
        lacking = sum(counts.values()) - len(there)
        if lacking:
            highest = world.highest_id + len(self._puts) + world.refused_puts
            strangers = look(
                self._server, set(range(world.id_at_restart + 1, highest + 1)) - set(world.jobs)
            )
            for found in strangers.values():
                world.met(found.id, found.body)
            there.update(strangers)
            lacking -= len(strangers)
        if lacking:
            returned = look(self._server, set(range(1, world.id_at_restart + 1)) - set(world.jobs))
            raise Fault(
                f"{lacking} jobs too many: {counts}; back from the dead are {[(id, found.seen) for id, found in returned.items()]}"
            )

    def _check_next_id(self) -> None:
        world = self._world
        self._server.say(b"use nobody")
        (inserted,) = self._server.say(put(b""))
        if inserted == "OUT_OF_MEMORY":
            return
        id = int(inserted.split()[1])
        self._server.say(b"delete %d" % id)
        if id <= world.highest_id:
            raise Fault(f"id {id} is given, though {world.highest_id} was in use before")
        world.highest_id = world.id_at_restart = id

    # --- comparing

    def _adopt(self, job: Job, found: Found | None) -> None:
        """The put that it came from was not answered."""
        alike = [put for put in self._puts if put.body == job.body]
        if found is not None:
            alike = [put for put in alike if (put.tube, max(put.ttr, 1)) == (found.tube, found.ttr)]
        if not alike:
            raise Fault(f"job {job.id} was never put: {job.body[:40]!r}, {found and found.seen}")
        # Short bodies may be the same: then it is one that explains what is there.
        put = next(
            (
                put
                for put in alike
                if self._possible(job, [*job.acts, put.act, *self._kicks.get(put.tube, [])], found)
            ),
            alike[0],
        )
        self._puts.remove(put)
        job.was_put(put)

    def _check(self, job: Job, found: Found | None) -> None:
        if found is not None:
            self._check_what_never_changes(job, found)
        acts = job.acts + self._kicks.get(job.tube, [])
        if self._possible(job, acts, found):
            return
        # Somebody may have reserved it and died before the answer.
        if not any(self._possible(job, [*acts, reserve], found) for reserve in self._reserves):
            raise Fault(self._story(job, acts, found))

    def _check_what_never_changes(self, job: Job, found: Found) -> None:
        if found.body != job.body:
            raise Fault(
                f"job {job.id} has another body: {found.body[:60]!r} instead of {job.body[:60]!r}"
            )
        if (found.tube, found.ttr) != (job.tube, max(job.ttr, 1)):
            raise Fault(
                f"job {job.id}: tube and ttr {found.tube, found.ttr} instead of {job.tube, job.ttr}"
            )
        oldest = found.seen.answered_at - job.created_from + CLOCK_S
        youngest = found.seen.asked_at - job.created_to - 1 - CLOCK_S
        if not youngest <= found.age <= oldest:
            raise Fault(f"job {job.id}: {found.age} s old instead of {youngest} to {oldest}")

    def _possible(self, job: Job, acts: list[Act], found: Found | None) -> bool:
        now = time.monotonic()
        states = outcomes(job.start, job.ttr, acts, now)
        if found is None:
            return any(state.where in (ABSENT, GONE) for state in states)
        return any(survived(state, found.seen) for state in states)

    def _story(self, job: Job, acts: list[Act], found: Found | None) -> str:
        lines = [
            f"job {job.id} ({job.tube.decode()}, ttr {job.ttr}, {len(job.body)} bytes) is {found.seen if found else 'not there'}"
        ]
        lines.append(f"it began as {job.start}")
        lines += [f"  {act}" for act in sorted(acts, key=lambda act: act.sent_at)]
        lines.append("which allows")
        lines += [
            f"  {state}" for state in outcomes(job.start, job.ttr, acts, time.monotonic())
        ] or ["  nothing"]
        return "\n".join(lines)

    def _check_pause(self, den: Den) -> None:
        asked_at = time.monotonic()
        (reply,) = self._server.ask(b"stats-tube " + den.tube)
        answered_at = time.monotonic()
        said = fields(reply.data) if reply.data else {"pause": "0", "pause-time-left": "0"}
        for pause in den.pauses:
            left_from = pause.act.sent_at + pause.seconds - answered_at - 1 - CLOCK_S
            left_to = pause.act.answered_at + pause.seconds - asked_at + CLOCK_S
            in_time = not pause.seconds or left_from <= int(said["pause-time-left"]) <= left_to
            if int(said["pause"]) == pause.seconds and in_time:
                pause.act.answered_at = min(pause.act.answered_at, answered_at)
                den.pauses = [pause]
                return
        raise Fault(
            f"tube {den.tube!r}: {said} is none of {[(pause.seconds, pause.act) for pause in den.pauses]}"
        )

    # --- going on

    def _settle(self, job: Job, found: Found | None) -> None:
        world = self._world
        den = world.dens.get(job.tube)
        if found is None:
            del world.jobs[job.id]
            world.gone(job)
            if den is not None:
                den.moved(job.id)
            return
        if den is not None:
            self._settle_in(den, job, found)
        world.pool(job.tube).add(job.id)
        job.created_to = min(job.created_to, found.seen.answered_at)
        job.start = start_from(found.seen)
        job.acts = []

    def _settle_in(self, den: Den, job: Job, found: Found) -> None:
        where = found.seen.where
        if where == DELAYED:
            den.delayed[job.id] = found.seen.delay
        else:
            den.delayed.pop(job.id, None)
        if where != BURIED:
            den.buried.pop(job.id, None)
            return
        unanswered = [
            act for act in job.acts if act.kind == "bury" and act.answered_at == UNANSWERED
        ]
        answered = job.start.buries + sum(act.kind == "bury" for act in job.acts) - len(unanswered)
        if found.seen.buries > answered:
            act = unanswered[found.seen.buries - answered - 1]
            self._reburied.append((act.by, act.order, den, job.id))

    def _rebury(self) -> None:
        """In the order in which it was asked for."""
        for _, _, den, id in sorted(self._reburied, key=lambda buried: buried[:2]):
            den.moved(id)
            den.buried[id] = None


def look(server: Conversation, ids: Iterable[int]) -> dict[int, Found]:
    """Those of these jobs that there are."""
    there: dict[int, Found] = {}
    for batch in batches((b"%d" % id for id in ids), 200):
        asked_at = time.monotonic()
        replies = server.ask(*(word + id for id in batch for word in (b"peek ", b"stats-job ")))
        answered_at = time.monotonic()
        for id, peeked, looked in zip(batch, replies[::2], replies[1::2], strict=True):
            found = _found(int(id), peeked, looked, asked_at, answered_at)
            if found is not None:
                there[found.id] = found
    return there


def _found(
    id: int, peeked: Reply, looked: Reply, asked_at: float, answered_at: float
) -> Found | None:
    words = {reply.words[0] for reply in (peeked, looked)}
    if words == {b"NOT_FOUND"}:
        return None
    if words != {b"FOUND", b"OK"} or peeked.id != id:
        raise Fault(f"job {id}: {peeked} to peek, {looked} to stats-job")
    said = fields(looked.data)
    return Found(said, peeked.data, seen(said, asked_at, answered_at))
