"""The state of the reference model and its transitions: who gets which job, and what timers do."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .entities import Client, Job, Tube, Upload, swap_remove

SECOND = 1_000_000_000
DEADLINE_SOON = b"DEADLINE_SOON\r\n"
TIMED_OUT = b"TIMED_OUT\r\n"


class State:
    """`changes_left`: how many changes the disk has space for (None: any number). Further changes
    are refused.
    """

    def __init__(
        self, now: int = 0, max_job_size: int = 65535, binlog_max_size: int = 10485760
    ) -> None:
        self.started_at = now
        self.max_job_size = max_job_size
        # Returns wall clock minus the clock of this model, ns.
        self.clock_offset: Callable[[], int] = lambda: 0
        self.binlog_max_size = binlog_max_size
        self.changes_left: int | None = None
        self.draining = False
        self.expires = False  # jobs expire now
        self.jobs: dict[int, Job] = {}
        self.default = Tube(b"default", 0)
        self.tubes = [self.default]  # in the order of list-tubes
        self.clients: dict[Hashable, Client] = {}  # oldest connection first
        self.buried: list[Job] = []  # in the order of burying
        self.waiting: list[Client] = []  # the longest wait first
        self.woken: list[tuple[Client, bytes]] = []  # with the replies that they get
        # By tube name: settings other than 0 and "".
        self.policies: dict[bytes, dict[str, object]] = {}
        self.rules: tuple[Any, ...] = ()  # see `schedules`
        self.runs: dict[bytes, int] = {}  # the latest run of each schedule, by its name
        self.counts: dict[str, int] = {}  # of commands, by word
        self.next_id = 1
        self.highest_put = 0  # the highest id in a reply to a put
        self.tubes_made = self.jobs_taken = 0
        self.total_jobs = self.timeouts = self.expired = self.total_connections = 0

    # --- tubes

    def tube(self, name: bytes) -> Tube | None:
        return next((tube for tube in self.tubes if tube.name == name), None)

    def tube_or_new(self, name: bytes) -> Tube:
        tube = self.tube(name)
        if tube is None:
            self.tubes_made += 1
            tube = Tube(name, self.tubes_made)
            self.tubes.append(tube)
        return tube

    def remove_if_unused(self, tube: Tube) -> None:
        """Removes the tube, unless a job, a client or a pause still needs it."""
        jobs = [job for job in self.jobs.values() if job.tube is tube]
        clients = [
            client
            for client in self.clients.values()
            if client.used is tube or tube in client.watched
        ]
        if not (jobs or clients or tube.kept or tube is self.default):
            swap_remove(self.tubes, tube)
            if tube.paused_until:
                # The end of the pause must be durable. It is one more change on disk, and no
                # client gets a refusal for it.
                self.refused()

    def end_pause(self, tube: Tube, now: int) -> None:
        tube.pause = tube.paused_until = 0
        tube.kept = False
        self.serve(now)
        self.remove_if_unused(tube)

    def oldest_first(self) -> list[Tube]:
        return sorted(self.tubes, key=lambda tube: tube.made)

    # --- jobs

    def ready(self, tubes: list[Tube]) -> list[Job]:
        """The first to be reserved comes first."""
        return sorted(
            (job for job in self.jobs.values() if job.state == "ready" and job.tube in tubes),
            key=lambda job: (job.pri, job.id),
        )

    def delayed(self, tube: Tube) -> list[Job]:
        """The first to be ready comes first."""
        return sorted(
            (job for job in self.jobs.values() if job.state == "delayed" and job.tube is tube),
            key=_deadline,
        )

    def held(self, client: Client) -> list[Job]:
        """The client's reserved jobs in the order of their reserves."""
        return sorted(
            (job for job in self.jobs.values() if job.holder is client), key=lambda job: job.taken
        )

    def move(self, job: Job, state: str, deadline_at: int = 0) -> None:
        """Moves a job into another state, without an owner."""
        if job.state == "buried":
            self.buried.remove(job)
        if state == "buried":
            self.buried.append(job)
        job.state = state
        job.deadline_at = deadline_at
        job.holder = None

    def take(self, client: Client, job: Job, now: int, logged: bool = False) -> bytes:
        """The client reserves the job. logged: a record says so already."""
        saved = logged or (job.until_reserve and not self.refuses_reserve(job))
        self.move(job, "reserved", now + job.ttr)
        self.jobs_taken += 1
        job.taken = self.jobs_taken
        job.holder = client
        job.reserves += 1
        if saved:
            job.save()
        return b"RESERVED %d %d\r\n%b\r\n" % (job.id, len(job.body), job.body)

    def refused(self) -> bool:
        """Whether the disk has no space for another change. Counts the change."""
        if self.changes_left is None:
            return False
        self.changes_left -= 1
        return self.changes_left < 0

    def refuses_put(self, upload: Upload) -> bool:
        return self.refused()

    def refuses_run(self, name: bytes, at: int) -> bool:
        """Whether the disk has no space to record this run of a schedule."""
        return self.refused()

    def has_put_run(self, name: bytes, at: int) -> None:
        """The job of this run is new."""

    def refuses_reserve(self, job: Job) -> bool:
        """Such a reserve goes on without a record."""
        return self.refused()

    # --- expiry

    def expire(self, now: int) -> None:
        """Ready and delayed jobs expire, those first whose time came first; older tubes first."""
        if self.expires:
            return
        self.expires = True
        for tube in self.oldest_first():
            jobs = [job for job in self.jobs.values() if job.tube is tube and _can_expire(job, now)]
            for job in sorted(jobs, key=lambda job: (job.expires_at, job.id)):
                self._expire(job, now)
        self.expires = False

    def _expire(self, job: Job, now: int) -> None:
        """Without space on the disk the job is buried without a record."""
        self.expired += 1
        old = job.tube
        name = self.dead_tube(old)
        if name:
            refused = self.refuses_dead_letter(job, name)
            if not refused:
                self.to_dead_tube(job, name, job.pri, "expired")
                self.serve(now)
        else:
            refused = self.refuses_expiry(job)
            if not refused:
                self.move(job, "gone")
                del self.jobs[job.id]
        if refused:
            self.move(job, "buried")
            job.end_key()
        else:
            self.remove_if_unused(old)

    def refuses_expiry(self, job: Job) -> bool:
        return self.refused()

    # --- waiting clients

    def on_offer(self, client: Client) -> list[Job]:
        return self.ready(
            [tube for tube in client.watched if not tube.paused_until and not self.is_busy(tube)]
        )

    def setting(self, tube: bytes, name: str) -> int:
        """Of the tube's policy."""
        value = self.policies.get(tube, {}).get(name, 0)
        assert isinstance(value, int)
        return value

    def is_busy(self, tube: Tube) -> bool:
        """Whether as many of its jobs are reserved as its policy allows."""
        held = [job for job in self.jobs.values() if job.tube is tube and job.state == "reserved"]
        return 0 < self.setting(tube.name, "max-reserved") <= len(held)

    def serve(self, now: int) -> None:
        """As long as a client waits for a job that is ready: the first of these jobs by priority
        and id goes to the client that has waited longest for its tube.
        """
        self.expire(now)
        while jobs := [job for client in self.waiting for job in self.on_offer(client)]:
            best = min(jobs, key=lambda job: (job.pri, job.id))
            client = next(client for client in self.waiting if best.tube in client.watched)
            self.wake(client, self.take(client, best, now))

    def wake(self, client: Client, reply: bytes) -> None:
        self.waiting.remove(client)
        self.woken.append((client, reply))

    def is_soon(self, client: Client, now: int) -> bool:
        """Whether a job of the client is in the last second of its TTR."""
        return any(job.deadline_at - SECOND <= now for job in self.held(client))

    # --- time

    def next_at(self) -> int | None:
        """The instant of the next timer. None: no timer is set."""
        return min(self.dues(), default=None)

    def dues(self) -> list[int]:
        """The instants of all timers."""
        dues = [
            job.deadline_at for job in self.jobs.values() if job.state in ("delayed", "reserved")
        ]
        dues += [tube.paused_until for tube in self.tubes if tube.paused_until]
        dues += [
            job.expires_at
            for job in self.jobs.values()
            if job.expires_at and job.state in ("ready", "delayed")
        ]
        for client in self.waiting:
            dues += [job.deadline_at - SECOND for job in self.held(client)]
            dues += [] if client.wait_until is None else [client.wait_until]
        return dues

    def tick(self, now: int) -> None:
        """Runs the timers that are due: expiries, delayed jobs, ends of pauses, then clients. Older
        tubes and clients come first.
        """
        self.expire(now)
        for tube in self.oldest_first():
            self.each(self.delayed(tube), lambda job: self.move(job, "ready"), now)
        for tube in self.oldest_first():
            if tube.paused_until and tube.paused_until <= now:
                self.end_pause(tube, now)
        for client in list(self.clients.values()):
            self.client_tick(client, now)

    def each(self, jobs: list[Job], change: Callable[[Job], None], now: int) -> None:
        """Applies the change to each of these jobs that is due. Waiting clients get the job at
        once.
        """
        for job in jobs:
            if job.deadline_at <= now:
                change(job)
                self.serve(now)

    def client_tick(self, client: Client, now: int) -> None:
        if client in self.waiting and self.is_soon(client, now):
            self.wake(client, DEADLINE_SOON)
        self.each(sorted(self.held(client), key=_deadline), self.time_out, now)
        if client in self.waiting and client.wait_until is not None and client.wait_until <= now:
            self.wake(client, TIMED_OUT)

    def time_out(self, job: Job) -> None:
        """No client asked for this change, so it cannot be refused. Without space on the disk it is
        not saved.
        """
        self.timeouts += 1
        job.timeouts += 1
        if self.is_used_up(job):
            self.give_up(job, job.pri, asked=False)
            return
        if not self.refused():
            job.save()
        job.end_key()
        self.move(job, "ready")

    def lose(self, job: Job) -> None:
        """The job's client is lost. Only with a limit of attempts that has a record."""
        if self.is_used_up(job):
            self.give_up(job, job.pri, asked=False)
            return
        if self.most_attempts(job):
            if not self.refused():
                job.save()
            job.end_key()
        self.move(job, "ready")

    # --- attempts

    def refuses_dead_letter(self, job: Job, name: bytes) -> bool:
        return self.refused()

    def refuses_burial(self, job: Job) -> bool:
        return self.refused()

    def is_used_up(self, job: Job) -> bool:
        return 0 < self.most_attempts(job) <= job.reserves

    def most_attempts(self, job: Job) -> int:
        return job.attempts or self.setting(job.tube.name, "max-attempts")

    def dead_tube(self, tube: Tube) -> bytes:
        """The name; empty if there is none, or if it is the tube itself."""
        name = self.policies.get(tube.name, {}).get("dead-tube", b"")
        assert isinstance(name, bytes)
        return b"" if name == tube.name else name

    def to_dead_tube(self, job: Job, name: bytes, pri: int, reason: str) -> None:
        job.key, job.until_reserve, job.expires_at, job.attempts = b"", False, 0, 0
        job.origin, job.reason = job.tube.name, reason
        job.pri, job.delay = pri, 0
        job.tube = self.tube_or_new(name)
        job.moves += 1
        self.move(job, "ready")
        job.save()

    def give_up(self, job: Job, pri: int, asked: bool) -> bool:
        """The job goes to the dead tube, or is buried if there is none. False if a full disk
        refuses both. asked: a client releases the job; otherwise it is buried even then, without a
        record.
        """
        old = job.tube
        name = self.dead_tube(old)
        if name and not self.refuses_dead_letter(job, name):
            job.releases += asked
            self.to_dead_tube(job, name, pri, "attempts")
            self.remove_if_unused(old)
            return True
        if self.refuses_burial(job):
            if not asked:
                self.move(job, "buried")
                job.end_key()
            return not asked
        job.releases += asked
        job.pri = pri
        job.buries += 1
        self.move(job, "buried")
        job.save()
        return True


def _can_expire(job: Job, now: int) -> bool:
    return 0 != job.expires_at <= now and job.state in ("ready", "delayed")


def _deadline(job: Job) -> tuple[int, int]:
    return job.deadline_at, job.id
