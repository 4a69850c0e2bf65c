"""The reference model run beside the server: it executes the same steps at the same times, and
records in the history every change that must be durable.

May know: the reference model, the history. The model reads the server's replies for one purpose:
only the server knows when the disk was too full for a change. The caller decides whether such a
refusal is allowed (`may_refuse`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Hashable, Mapping

from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT
from beanstalkd_py.queue.attributes import REASONS, Attributes
from beanstalkd_py.queue.model import Job as ServerJob

from .contents import POLICY, RUN, Contents, JobContents, moved_by
from .history import Change, History, RecordedJob, RecordedPause, RecordedPolicy, RecordedRun
from .reference.commands import OUT_OF_MEMORY, give
from .reference.entities import Client, Job, Tube, Upload
from .reference.model import ReferenceModel
from .violation import Violation

FIRST_RANK = 1 << 32  # above the ranks of jobs that a start recovered
_COUNTED = re.compile(rb"(?:KICKED|TRUNCATED|MOVED) (\d+)\r\n")


class RecordingModel(ReferenceModel):
    def __init__(self, now: int, max_job_size: int, binlog_max_size: int, history: History) -> None:
        super().__init__(now, max_job_size, binlog_max_size)
        self.history = history
        self.output_limit = OUTPUT_LIMIT
        self.may_refuse = False
        self.refusals = 0
        self.may_run_out = False  # of memory
        self.server_job: Callable[[int], ServerJob | None] = lambda id: None
        self.refused_reserve: Callable[[int, int], bool] = lambda id, reserves: False
        self.refused_expiry: Callable[[int, int, int], bool] = lambda id, reserves, kicks: False
        self.refused_move: Callable[[int, bytes, int], bool] = lambda id, tube, reserves: False
        self.refused_put: Callable[[int], bool] = lambda id: False
        self.refused_run: Callable[[bytes, int], bool] = lambda name, at: False
        self._replies: Mapping[Hashable, bytes] = {}  # the server's, in this step
        self._current: Client | None = None  # whose command runs; None: a timer runs
        # The latest question to `refused`: client, offset of the reply, and how many changes of
        # this command were accepted before.
        self._asked: tuple[Hashable, int, int] = (None, 0, 0)
        self._versions: dict[int, tuple[int, ...]] = {}  # of each job's latest record
        self._born: dict[int, int] = {}
        self._pauses: dict[bytes, tuple[int, int]] = {}
        self._policies: dict[bytes, RecordedPolicy] = {}
        self._runs: dict[bytes, int] = {}
        self._ticking = False
        self._removing = False  # a tube, whose pause then ends: no client gets a refusal for it
        self._ranks = itertools.count(FIRST_RANK)

    # --- refusals, read from the server's replies

    def set_replies(self, replies: Mapping[Hashable, bytes]) -> None:
        """The server's replies in the step that follows."""
        self._replies = replies
        self._asked = None, 0, 0

    def _run(self, client: Client, now: int) -> None:
        self._current = client
        super()._run(client, now)
        self._current = None

    def refused(self) -> bool:
        """Called before each change."""
        self.record_changes()
        if self._removing:
            return False
        client = self._current
        if client is None:  # a TTR ends, whether its record finds space or not
            return self.may_refuse
        at = len(client.outbox)
        name, before, accepted = self._asked
        accepted = accepted + 1 if (name, before) == (client.name, at) else 0
        self._asked = client.name, at, accepted
        reply = self._replies.get(client.name, b"")[at:]
        counted = _COUNTED.match(reply)
        stopped = counted is not None and int(counted[1]) <= accepted
        if reply.startswith(b"OUT_OF_MEMORY") or stopped:
            return self._is_refused()
        return False

    def refuses_dead_letter(self, job: Job, name: bytes) -> bool:
        """On a full disk no reply tells what became of the job. The server's journal does."""
        self.record_changes()
        refused = self.may_refuse and self.refused_move(job.id, name, job.reserves)
        return self._note_burial(job, refused)

    def refuses_burial(self, job: Job) -> bool:
        if self._current is not None:
            return self._note_burial(job, self.refused())
        self.record_changes()
        actual = self.server_job(job.id)
        refused = self.may_refuse and actual is not None and actual.buries <= job.buries
        return self._note_burial(job, refused)

    def refuses_reserve(self, job: Job) -> bool:
        """The reserve goes on, and its client is not told."""
        self.record_changes()
        return self.may_refuse and self.refused_reserve(job.id, job.reserves + 1)

    def refuses_expiry(self, job: Job) -> bool:
        self.record_changes()
        refused = self.may_refuse and self.refused_expiry(job.id, job.reserves, job.kicks)
        return self._note_burial(job, refused)

    def _note_burial(self, job: Job, refused: bool) -> bool:
        """A job that should go, or be buried, is buried without a record."""
        if refused:
            self.history.unlogged.add(job.id)
        return refused

    def refuses_put(self, upload: Upload) -> bool:
        if self._current is not None:
            return self.refused()
        self.record_changes()
        return self.refused_put(upload.id) and self._is_refused()

    def refuses_run(self, name: bytes, at: int) -> bool:
        self.record_changes()
        return self.refused_run(name, at) and self._is_refused()

    def has_put_run(self, name: bytes, at: int) -> None:
        self.record_changes()
        self.history.has_put_run(name, at)

    def _is_refused(self) -> bool:
        if not self.may_refuse:
            raise Violation("a change was refused although the disk has space")
        self.refusals += 1
        return True

    def _ran_out(self, client: Client) -> bool:
        """Whether the server answered the command that runs with a lack of memory."""
        reply = self._replies.get(client.name, b"")[len(client.outbox) :]
        return self.may_run_out and reply.startswith(OUT_OF_MEMORY)

    def is_lost(self, client: Client, now: int, upload: Upload, body: bytes) -> bool:
        """The record of such a put may be in the log, with a DELETE record after it. Both are
        changes, because a kill may leave the first one alone.
        """
        if not self._ran_out(client):
            return False
        self.record_changes()
        tube = Tube(upload.tube, 0) if upload.tube else client.used
        job = Job(upload.id, tube, upload.pri, upload.delay, upload.ttr, body, upload.begun_at)
        give(self, job, upload.settings or {}, now)
        job.state = "delayed" if upload.delay else "ready"
        job.deadline_at = now + upload.delay if upload.delay else 0
        job.save()
        self.jobs[job.id] = job
        self.history.lost.add(job.id)
        self.record_changes()
        del self.jobs[job.id]
        self.record_changes()
        return True

    def _line(self, client: Client, now: int, line: bytes) -> bytes | None:
        reply = super()._line(client, now, line)
        found = reply is not None and reply.startswith(b"FOUND")
        return OUT_OF_MEMORY if found and self._ran_out(client) else reply

    # --- recording what must be durable

    def remove_if_unused(self, tube: Tube) -> None:
        self._removing = True
        super().remove_if_unused(tube)
        self._removing = False
        if tube.paused_until and tube not in self.tubes:
            self.record_changes()
            if self._ticking:
                self.history.changes.append(Change(tube.name, None))

    def tick(self, now: int) -> None:
        self.record_changes()
        self._ticking = True
        super().tick(now)
        self.record_changes()
        self._ticking = False

    def record_changes(self) -> None:
        """Records what has changed since the last call. That is at most one job, and the pause of
        a tube that was removed together with the job.
        """
        history = self.history
        versions = {id: _version(job) for id, job in self.jobs.items()}
        for id in self._versions.keys() - versions.keys():
            history.changes.append(Change(id, None))
        for id, version in versions.items():
            if self._versions.get(id) != version:
                history.changes.append(Change(id, self._recorded_job(self.jobs[id])))
        self._versions = versions
        self._record_pauses()
        self._record_policies()
        self._record_runs()
        history.next_id = self.next_id
        history.most.update((job.id, (job.reserves, job.timeouts)) for job in self.jobs.values())

    def _recorded_job(self, job: Job) -> RecordedJob:
        since = len(self.history.offsets) - 1
        born = self._born.setdefault(job.id, since)
        rank = next(self._ranks) if job.state == "buried" else 0
        return RecordedJob(_on_disk(job), since, born, rank)

    def _record_pauses(self) -> None:
        """A pause that ends by time has no record, but one that ends with its tube has."""
        pauses = self._current_pauses()
        since = len(self.history.offsets) - 1
        if not self._ticking:
            self.history.changes += [
                Change(name, None) for name in self._pauses if name not in pauses
            ]
        changed = {name: pause for name, pause in pauses.items() if self._pauses.get(name) != pause}
        self.history.changes += [
            Change(name, RecordedPause(*pause, since)) for name, pause in changed.items()
        ]
        self._pauses = pauses

    def _record_policies(self) -> None:
        now = {POLICY + name: RecordedPolicy(dict(each)) for name, each in self.policies.items()}
        changed = {key: now.get(key) for key in {**self._policies, **now}}
        self.history.changes += [
            Change(key, policy)
            for key, policy in changed.items()
            if policy != self._policies.get(key)
        ]
        self._policies = now

    def _record_runs(self) -> None:
        for name in {**self._runs, **self.runs}:
            at = self.runs.get(name)
            if at != self._runs.get(name):
                now = None if at is None else RecordedRun(at)
                if at is None:
                    self.history.has_forgotten(name)
                self.history.changes.append(Change(RUN + name, now))
        self._runs = dict(self.runs)

    def _current_pauses(self) -> dict[bytes, tuple[int, int]]:
        return {
            tube.name: (tube.pause, tube.paused_until) for tube in self.tubes if tube.paused_until
        }

    # --- the start of a server run

    def load(self, contents: Contents, offset: int) -> None:
        """Takes over the recovered state. For a new model only."""
        self.next_id = contents.next_id
        for made, name in enumerate(contents.made):
            self._make_tube(name, made)
        self.tubes = [self._named(name) for name in contents.listed]
        self.default = self._named(b"default")
        self.tubes_made = len(self.tubes)
        for name, (pause, until) in contents.pauses.items():
            tube = self._named(name)
            tube.pause, tube.paused_until, tube.kept = pause, until - offset, True
        for id, found in contents.jobs.items():
            self._make_job(id, found, offset)
        self.buried = [self.jobs[id] for ids in contents.buried.values() for id in ids]
        self._versions = {id: _version(job) for id, job in self.jobs.items()}
        self._born = dict.fromkeys(self.jobs, 0)
        self._pauses = self._current_pauses()
        self._policies = {key: RecordedPolicy(each) for key, each in contents.policies.items()}
        self.runs = {key.removeprefix(RUN): at for key, at in contents.runs.items()}
        self._runs = dict(self.runs)
        self.policies = {
            key.removeprefix(POLICY): dict(each) for key, each in contents.policies.items()
        }

    def _make_tube(self, name: bytes, made: int) -> None:
        if name == b"default":
            self.default.made = made
        else:
            self.tubes.append(Tube(name, made))

    def _named(self, name: bytes) -> Tube:
        tube = self.tube(name)
        assert tube is not None
        return tube

    def _make_job(self, id: int, found: JobContents, offset: int) -> None:
        job = Job(
            id,
            self._named(found.tube),
            found.pri,
            found.delay,
            found.ttr,
            found.body,
            found.created_at - offset,
        )
        job.state = found.state
        job.deadline_at = found.deadline_at - offset if found.state == "delayed" else 0
        job.reserves, job.timeouts, job.releases, job.buries, job.kicks = found[-6:-1]
        has = moved_by(found.attributes, -offset)
        job.key, job.until_reserve, job.expires_at, job.attempts, job.origin, reason = has
        job.reason = REASONS[reason]
        job.save()
        self.jobs[id] = job


def _version(job: Job) -> tuple[int, ...]:
    """Differs from record to record of one job."""
    return (job.saved_reserves, job.saved_timeouts, job.releases, job.buries, job.kicks, job.moves)


def _on_disk(job: Job) -> JobContents:
    """As the job's record has it: a reserved job is a ready one."""
    delayed = job.state == "delayed"
    return JobContents(
        job.tube.name,
        job.body,
        "ready" if job.state == "reserved" else job.state,
        job.pri,
        job.delay,
        job.ttr,
        job.created_at,
        job.deadline_at if delayed else 0,
        job.saved_reserves,
        job.saved_timeouts,
        job.releases,
        job.buries,
        job.kicks,
        Attributes(
            job.key,
            job.until_reserve,
            job.expires_at,
            job.attempts,
            job.origin,
            REASONS.index(job.reason),
        ),
    )
