"""Audits the server after a restart: every job must be in a state that the earlier replies allow.

A Fault shows the history of the job. After the audit, `knowledge` is what the server replied.
"""

from __future__ import annotations

from collections.abc import Iterable

from .client import Client, Command, job_stats
from .clock import now_s
from .conversation import Conversation, batches, put
from .fault import Fault
from .knowledge import Job, Knowledge, PrivateTube, Put, pauses_that_explain
from .model import (
    ABSENT,
    BURIED,
    CLOCK_S,
    DELAYED,
    GONE,
    UNANSWERED,
    Act,
    JobStats,
    outcomes,
    start_from,
    survived,
)
from .replies import Reply, fields


class Found:
    """A job as the server shows it."""

    __slots__ = ("age", "attempts", "body", "id", "job_stats", "key", "tube", "ttr")

    def __init__(self, values: dict[str, str], body: bytes, looked: JobStats) -> None:
        self.id = int(values["id"])
        self.key = values.get("key", "").encode()
        self.attempts = int(values.get("max-attempts", 0))
        self.tube = values["tube"].encode()
        self.ttr = int(values["ttr"])
        self.age = int(values["age"])
        self.body = body
        self.job_stats = looked


class Audit:
    """clients: those whose connections ended with the kill."""

    def __init__(
        self, knowledge: Knowledge, clients: Iterable[Client], server: Conversation
    ) -> None:
        self._knowledge = knowledge
        self._server = server
        self._puts: list[Put] = []  # without a reply
        self._reserves: list[Act] = []  # without a reply; the job is unknown
        self._kicks: dict[bytes, list[Act]] = {}  # by tube, without a reply
        self._reburied: list[tuple[int, int, PrivateTube, int]] = []
        for client in clients:
            for command in client.in_flight:
                self._record(client, command)

    def _record(self, client: Client, command: Command) -> None:
        """A command without a reply may have taken effect."""
        act = command.act
        if command.put is not None:
            self._puts.append(command.put)
        elif act.kind == "reserve":
            self._reserves.append(act)
        elif act.kind == "kick":
            assert client.private is not None
            self._kicks.setdefault(client.private.tube, []).append(
                Act("kick-job", act.by, act.order, act.sent_at)
            )
        elif command.id:
            self._knowledge.jobs[command.id].acts.append(act)

    def run(self) -> None:
        """Raises Fault."""
        knowledge = self._knowledge
        self._server.say(b"capabilities")  # stats-job shows keys and attempts
        there = find_jobs(self._server, sorted(knowledge.jobs))
        self._find_unknown_jobs(there)
        for job in knowledge.jobs.values():
            found = there.get(job.id)
            if not job.tube:
                self._adopt(job, found)
            self._check(job, found)
        knowledge.check_told()
        self._check_keys(there.values())
        for private in knowledge.private_tubes.values():
            self._check_pause(private)
        for job in list(knowledge.jobs.values()):
            self._settle(job, there.get(job.id))
        self._rebury()
        self._check_next_id()

    # --- requests

    def _find_unknown_jobs(self, there: dict[int, Found]) -> None:
        """Finds jobs that no reply has mentioned. Only puts without a reply explain them."""
        knowledge = self._knowledge
        stats = self._server.stats()
        counts = {
            where: int(stats[f"current-jobs-{where}"])
            for where in ("ready", "delayed", "buried", "reserved")
        }
        if counts["reserved"]:
            raise Fault(f"{counts['reserved']} jobs are reserved after a restart")
        lacking = sum(counts.values()) - len(there)
        if lacking:
            without_job = knowledge.refused_puts + knowledge.existing
            highest = knowledge.highest_id + len(self._puts) + without_job
            unknown = find_jobs(
                self._server,
                set(range(knowledge.id_at_restart + 1, highest + 1)) - set(knowledge.jobs),
            )
            for found in unknown.values():
                knowledge.met(found.id, found.body)
            there.update(unknown)
            lacking -= len(unknown)
        if lacking:
            returned = find_jobs(
                self._server, set(range(1, knowledge.id_at_restart + 1)) - set(knowledge.jobs)
            )
            raise Fault(
                f"{lacking} jobs too many: {counts}; deleted jobs that returned: "
                f"{[(id, found.job_stats) for id, found in returned.items()]}"
            )

    def _check_keys(self, there: Iterable[Found]) -> None:
        """Each key stands once, and the server knows whose it is."""
        holders: dict[tuple[bytes, bytes], int] = {}
        for found in there:
            if found.key:
                other = holders.setdefault((found.tube, found.key), found.id)
                if other != found.id:
                    raise Fault(
                        f"jobs {other} and {found.id} of {found.tube!r} both have {found.key!r}"
                    )
        for batch in batches(b"%b key=%b" % each for each in holders):
            replies = self._server.say(
                *[b"put-with 0 0 60 0 tube=%b\r\n" % settings for settings in batch]
            )
            for settings, reply in zip(batch, replies, strict=True):
                tube, _, key = settings.partition(b" key=")
                if reply != f"EXISTS {holders[tube, key]}":
                    raise Fault(f"{reply} to a put with {settings!r} of job {holders[tube, key]}")
        self._knowledge.existing = len(holders)

    def _check_next_id(self) -> None:
        knowledge = self._knowledge
        self._server.say(b"use unused")
        (inserted,) = self._server.say(put(b""))
        if inserted == "OUT_OF_MEMORY":
            return
        id = int(inserted.split()[1])
        self._server.say(b"delete %d" % id)
        if id <= knowledge.highest_id:
            raise Fault(f"id {id} is assigned, but {knowledge.highest_id} was in use before")
        knowledge.highest_id = knowledge.id_at_restart = id
        knowledge.existing = 0

    # --- comparison

    def _adopt(self, job: Job, found: Found | None) -> None:
        """Finds the put without a reply that created the job."""
        alike = [put for put in self._puts if put.body == job.body]
        if found is not None:
            alike = [put for put in alike if _fits(put, found)]
        if not alike:
            raise Fault(
                f"job {job.id} was never put: {job.body[:40]!r}, {found and found.job_stats}"
            )
        # Short bodies may be equal. Then a put that explains the state is chosen.
        put = next(
            (put for put in alike if self._is_explained(job, put, found)),
            alike[0],
        )
        self._puts.remove(put)
        self._knowledge.was_put(job, put)

    def _is_explained(self, job: Job, put: Put, found: Found | None) -> bool:
        """Whether this put explains the state of the job."""
        like = Job(job.id, job.body)
        like.acts = [*job.acts]
        like.was_put(put)
        return self._possible(like, [*like.acts, *self._kicks.get(put.tube, [])], found)

    def _check(self, job: Job, found: Found | None) -> None:
        if found is not None:
            self._check_what_never_changes(job, found)
        acts = job.acts + self._kicks.get(job.tube, [])
        if self._possible(job, acts, found):
            return
        # A reserve without a reply may have taken this job.
        if not any(self._possible(job, [*acts, reserve], found) for reserve in self._reserves):
            raise Fault(self._history(job, acts, found))

    def _check_what_never_changes(self, job: Job, found: Found) -> None:
        if found.body != job.body:
            raise Fault(
                f"job {job.id} has another body: {found.body[:60]!r} instead of {job.body[:60]!r}"
            )
        if (found.tube, found.ttr) != (job.tube, max(job.ttr, 1)):
            raise Fault(
                f"job {job.id}: tube and ttr {found.tube, found.ttr} instead of {job.tube, job.ttr}"
            )
        # A record that counts a reserve ends a key that is unique until then.
        has_ended = job.start.until_reserve and found.job_stats.reserves
        key = b"" if has_ended else job.key
        if (found.key, found.attempts) != (key, job.start.attempts):
            raise Fault(
                f"job {job.id}: key and attempts {found.key, found.attempts} "
                f"instead of {key, job.start.attempts}"
            )
        oldest = found.job_stats.answered_at - job.created_from + CLOCK_S
        youngest = found.job_stats.asked_at - job.created_to - 1 - CLOCK_S
        if not youngest <= found.age <= oldest:
            raise Fault(f"job {job.id}: {found.age} s old instead of {youngest} to {oldest}")

    def _possible(self, job: Job, acts: list[Act], found: Found | None) -> bool:
        now = now_s()
        states = outcomes(job.start, job.ttr, acts, now)
        if found is None:
            return any(state.where in (ABSENT, GONE) for state in states)
        return any(survived(state, found.job_stats) for state in states)

    def _history(self, job: Job, acts: list[Act], found: Found | None) -> str:
        lines = [
            f"job {job.id} ({job.tube.decode()}, ttr {job.ttr}, {len(job.body)} bytes) "
            f"is {found.job_stats if found else 'missing'}"
        ]
        lines.append(f"at the last restart it was {job.start}")
        lines += [f"  {act}" for act in sorted(acts, key=lambda act: act.sent_at)]
        lines.append("these allow")
        lines += [f"  {state}" for state in outcomes(job.start, job.ttr, acts, now_s())] or [
            "  nothing"
        ]
        return "\n".join(lines)

    def _check_pause(self, private: PrivateTube) -> None:
        asked_at = now_s()
        (reply,) = self._server.ask(b"stats-tube " + private.tube)
        answered_at = now_s()
        values = fields(reply.data) if reply.data else {"pause": "0", "pause-time-left": "0"}
        seconds, left = int(values["pause"]), int(values["pause-time-left"])
        possible = pauses_that_explain(private.pauses, seconds, left, asked_at, answered_at)
        if not possible:
            raise Fault(
                f"tube {private.tube!r}: {values} is none of "
                f"{[(pause.seconds, pause.act) for pause in private.pauses]}"
            )
        for pause in possible:
            pause.act.answered_at = min(pause.act.answered_at, answered_at)
        private.pauses = possible

    # --- the next round

    def _settle(self, job: Job, found: Found | None) -> None:
        knowledge = self._knowledge
        private = knowledge.private_tubes.get(job.tube)
        if found is None:
            knowledge.forget(job)
            if private is not None:
                private.state_changed(job.id)
            return
        if private is not None:
            self._settle_in(private, job, found)
        knowledge.pool(job.tube).add(job.id)
        job.created_to = min(job.created_to, found.job_stats.answered_at)
        job.start = start_from(found.job_stats, job.start)
        job.acts = []

    def _settle_in(self, private: PrivateTube, job: Job, found: Found) -> None:
        where = found.job_stats.where
        if where == DELAYED:
            private.delayed[job.id] = found.job_stats.delay
        else:
            private.delayed.pop(job.id, None)
        if where != BURIED:
            private.buried.pop(job.id, None)
            return
        unanswered = [
            act for act in job.acts if act.kind == "bury" and act.answered_at == UNANSWERED
        ]
        answered = job.start.buries + sum(act.kind == "bury" for act in job.acts) - len(unanswered)
        if found.job_stats.buries > answered:
            act = unanswered[found.job_stats.buries - answered - 1]
            self._reburied.append((act.by, act.order, private, job.id))

    def _rebury(self) -> None:
        """In the order in which the buries were sent."""
        for _, _, private, id in sorted(self._reburied, key=lambda buried: buried[:2]):
            private.state_changed(id)
            private.buried[id] = None


def _fits(put: Put, found: Found) -> bool:
    """Whether the job may come from this put, as far as no command changes it."""
    same = (put.tube, max(put.ttr, 1), put.attempts) == (found.tube, found.ttr, found.attempts)
    return same and found.key in (put.key, b"" if put.until_reserve else put.key)


def find_jobs(server: Conversation, ids: Iterable[int]) -> dict[int, Found]:
    """The jobs with these ids, as far as they exist."""
    there: dict[int, Found] = {}
    for batch in batches((b"%d" % id for id in ids), 200):
        asked_at = now_s()
        replies = server.ask(*(word + id for id in batch for word in (b"peek ", b"stats-job ")))
        answered_at = now_s()
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
    values = fields(looked.data)
    return Found(values, peeked.data, job_stats(values, asked_at, answered_at))
