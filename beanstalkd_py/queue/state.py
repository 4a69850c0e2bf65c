"""The state of one server: clients, tubes and jobs. What time does: see `ticks`. Requests of
clients: see `queue`.

Deterministic: `now` (boot time, ns) is an argument. No I/O, no clock. When the wait of a client
ends, the client and its outcome are appended to `woken`.

Log before state: a change that must survive a restart is first journalled, and then an `apply_*`
method changes memory. Replay calls the same methods. If the journal has no headroom, it refuses the
change, and nothing has changed.

Not journalled are: a reserve of a ready job, a touch, the end of a delay, and the return of jobs of
a lost client. Replay makes every reserved job ready anyway.
"""

from typing import Final

from beanstalkd_py.queue.attributes import NO_ATTRIBUTES, Attributes, Marked, cost
from beanstalkd_py.queue.jobtable import JobTable
from beanstalkd_py.queue.journal import Counters, Journal
from beanstalkd_py.queue.memory import JOB_BYTES, MemoryReserve
from beanstalkd_py.queue.model import (
    BURIED,
    DELAYED,
    MARGIN,
    NEVER,
    READY,
    RESERVED,
    URGENT,
    Client,
    Job,
    Tube,
    new_job,
    swap_remove,
)
from beanstalkd_py.queue.outcome import DEADLINE_SOON, TIMED_OUT, Outcome
from beanstalkd_py.queue.policy import Policy
from beanstalkd_py.queue.timers import Timers
from beanstalkd_py.queue.tubebytes import TubeBytes

DEFAULT_TUBE: Final = b"default"
SLICE_JOBS: Final = 500  # jobs in one slice of a tick or a kick; a slice takes 1 to 3 ms


class State:
    """All jobs, tubes, clients and timers."""

    def __init__(self) -> None:
        self.journal: Journal | None = None
        self.draining = False
        self.measures_waits = False  # how long jobs are ready, in new tubes; see `waits`
        self.memory = MemoryReserve()
        self.jobs: JobTable[Job] = JobTable()
        self.tubes: dict[bytes, Tube] = {}
        self.policies: dict[bytes, object] = {}  # by tube name, also of tubes that do not exist
        self.attributes: dict[int, Attributes] = {}  # of the jobs that have any, by id
        self.runs: dict[bytes, int] = {}  # the latest run of each schedule (Unix time, s)
        self.tube_list: list[Tube] = []  # in the C server's order
        self.next_id = 1
        self.next_bury = 1  # sequence number of the next bury, for the job's `deadline_at`
        self.woken: list[tuple[Client, Job | Outcome]] = []
        self._timers = Timers()
        self.timers = self._timers.heap  # a heap: the next timer first
        self.orders = 0  # the latest `TimerOwner.order`
        self.ready_count = self.urgent_count = self.reserved_count = self.delayed_count = (
            self.buried_count
        ) = 0
        self.total_jobs = self.timeouts = self.expired = 0
        self.connections = self.total_connections = self.producers = self.workers = self.waiting = 0
        self.default = self.tube(DEFAULT_TUBE)
        self.default.kept = True

    # --- clients ----------------------------------------------------------------------------------

    def connect(self) -> Client:
        """A new client: uses and watches `default`."""
        client = Client(self.default, self.orders + 1)
        self.connections += 1
        self.total_connections += 1
        self.orders += 1
        self.default.using += 1
        self.default.watching += 1
        return client

    def disconnect(self, client: Client, now: int) -> None:
        """The connection is lost. Its reserved jobs become ready and go to waiting clients."""
        if client.waiting:
            self._stop_waiting(client)
        client.timer_at = NEVER
        self.connections -= 1
        self.producers -= client.producer
        self.workers -= client.worker
        for job in list(client.reserved.values()):
            self.lose(job, now)
        # In the C server's order, which list-tubes shows: the first tube is removed from the watch
        # list and the last one takes its place, until the list is empty.
        for tube in client.watched[:1] + client.watched[:0:-1]:
            tube.watching -= 1
            self.remove_if_unused(tube)
        client.used.using -= 1
        self.remove_if_unused(client.used)
        client.watched = []
        client.places = {}

    def lose(self, job: Job, now: int) -> None:
        """The client of a reserved job is lost."""
        self._to_ready(job, now)

    def half_close(self, client: Client, now: int) -> Outcome | None:
        """The client will send no more, so its wait in reserve ends at once. Returns the outcome of
        the wait; None if the client was not waiting.
        """
        client.half_closed = True
        if not client.waiting:
            return None
        self._stop_waiting(client)
        return DEADLINE_SOON if client.soonest_deadline() - MARGIN <= now else TIMED_OUT

    # --- changes, by commands and by replay -------------------------------------------------------

    def apply_put(
        self,
        id: int,
        tube: Tube,
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
    ) -> Job:
        """Adds a new job, in any state except reserved. Durations in ns, instants boot time, ns.

        What may need much memory comes before the first count changes. So after a MemoryError
        `Queue.put` can take the job back.
        """
        if ttr == tube.ttr:
            ttr = tube.ttr
        else:
            tube.ttr = ttr
        job = new_job(id, tube, state, pri, delay, ttr, body, created_at, deadline_at)
        self.jobs.add(id, job)
        if state == READY:  # as in enter; without the call a put takes 0.1 us less
            ready = tube.ready
            bucket = ready.buckets.get(pri)
            if bucket is not None and (not bucket or id > bucket[-1]):
                bucket.append(id)
                ready.in_buckets += 1
            else:
                ready.add(pri, id, tube.ready_count)
            tube.ready_count += 1
            self.ready_count += 1
            if pri < URGENT:
                tube.urgent_count += 1
                self.urgent_count += 1
        else:
            self.enter(job)
        tube.jobs += 1
        self.memory.used += len(body) + JOB_BYTES
        return job

    def apply_change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> None:
        """Gives a job a new state and new counters. `deadline_at`: see `Job.deadline_at`; 0 for a
        ready job.
        """
        self.leave(job)
        job.state = state
        job.pri = pri
        job.delay = delay
        job.deadline_at = deadline_at
        job.reserves = counters[0]
        job.history = counters
        self.enter(job)

    def apply_delete(self, job: Job) -> None:
        """Removes the job, whatever its state."""
        owner = job.owner
        if owner is not None:  # as in leave; without the call a delete takes 0.06 us less
            del owner.reserved[job.id]
            job.owner = None
            job.tube.reserved_count -= 1
            self.reserved_count -= 1
        else:
            self.leave(job)
        self.jobs.remove(job.id)
        job.tube.jobs -= 1
        self.memory.used -= len(job.body) + JOB_BYTES

    def remove(self, job: Job) -> None:
        """`apply_delete` of any job, also of one with attributes."""
        tube = job.tube
        if tube.guarded:
            self.set_attributes(job, None)
            if isinstance(tube.counted, TubeBytes):
                tube.counted.discard(job)
        self.apply_delete(job)

    def apply_policy(self, tube: Tube) -> None:
        """The policy of the name of this tube is that of the tube."""
        policy = tube.policy = self.policies.get(tube.name)
        if isinstance(policy, Policy) and policy.max_bytes:
            if tube.counted is None:
                tube.counted = TubeBytes(tube, self.jobs)
        else:
            tube.counted = None
        tube.update_guard()

    def count_bytes(self) -> None:
        """After replay, which adds jobs without counting their bytes: counts them."""
        for tube in self.tube_list:
            if tube.counted is not None:
                tube.counted = counted = TubeBytes(tube, self.jobs)
                while not counted.count():
                    pass

    def set_attributes(self, job: Job, new: Attributes | None) -> None:
        """Gives the job these attributes in place of those that it has."""
        tube = job.tube
        marked = tube.marked
        old = self.attributes.pop(job.id, None)
        if old is not None and isinstance(marked, Marked):
            self.memory.used -= cost(old)
            marked.discard(job, old)
            if not marked.count:
                tube.marked = None
        if new is not None and new != NO_ATTRIBUTES:
            self.attributes[job.id] = new
            self.memory.used += cost(new)
            marked = tube.marked
            if not isinstance(marked, Marked):
                tube.marked = marked = Marked(tube, self.attributes)
            marked.add(job, new)
            if new.expires_at:
                self._plan(tube, new.expires_at)
        tube.update_guard()

    def apply_pause(self, tube: Tube, pause: int, until: int) -> None:
        """Pauses the tube for `pause` ns, until `until`. Both 0: the pause ends."""
        tube.pause = pause
        tube.paused_until = until
        tube.update_guard()
        if until:
            self._plan(tube, until)

    def leave(self, job: Job) -> None:
        """Removes the job from the collection of its state. A heap may keep a stale entry."""
        tube = job.tube
        state = job.state
        if state == RESERVED:
            owner = job.owner
            assert owner is not None
            del owner.reserved[job.id]
            job.owner = None
            tube.reserved_count -= 1
            self.reserved_count -= 1
        elif state == READY:
            tube.ready_count = count = tube.ready_count - 1
            self.ready_count -= 1
            if job.pri < URGENT:
                tube.urgent_count -= 1
                self.urgent_count -= 1
            tube.ready.leave(job.pri, job.id, count)
        elif state == DELAYED:
            tube.delayed_count = count = tube.delayed_count - 1
            self.delayed_count -= 1
            tube.delayed.leave(job.deadline_at, job.id, count)
        else:
            del tube.buried[job.id]
            self.buried_count -= 1

    def enter(self, job: Job) -> None:
        """Adds the job to the collection of its state, which is not reserved."""
        tube = job.tube
        state = job.state
        if state == READY:
            tube.ready.add(job.pri, job.id, tube.ready_count)
            tube.ready_count += 1
            self.ready_count += 1
            if job.pri < URGENT:
                tube.urgent_count += 1
                self.urgent_count += 1
        elif state == DELAYED:
            tube.delayed.push(job.deadline_at, job.id, tube.delayed_count + 1)
            self._plan(tube, job.deadline_at)
            tube.delayed_count += 1
            self.delayed_count += 1
        else:
            assert state == BURIED
            tube.buried[job.id] = job
            self.buried_count += 1
            self.next_bury = max(self.next_bury, job.deadline_at + 1)
        if tube.guarded:
            self.entered(job)

    def entered(self, job: Job) -> None:
        """The job of a guarded tube has a new state, which is not reserved."""

    def taken(self, job: Job, now: int) -> None:
        """A client is about to reserve the job of a hooked tube."""

    def _plan(self, owner: Tube | Client, at: int) -> None:
        """Sets the timer of `owner` to `at`, unless it is set to an earlier instant."""
        if at < owner.timer_at:
            self._timers.plan(owner, at, len(self.tubes) + self.connections)

    # --- waiting ----------------------------------------------------------------------------------

    def _reserve(self, client: Client, job: Job, now: int) -> None:
        """Reserves the job for the client. The job may be in any state except reserved. Not
        journalled.
        """
        if job.tube.hooked:
            self.taken(job, now)
        self.leave(job)
        job.state = RESERVED
        job.owner = client
        job.reserves += 1
        job.deadline_at = deadline_at = now + job.ttr
        job.tube.reserved_count += 1
        self.reserved_count += 1
        client.reserved[job.id] = job
        client.deadlines.push(deadline_at, job.id, len(client.reserved))
        if deadline_at < client.timer_at:
            self._plan(client, deadline_at)

    def _to_ready(self, job: Job, now: int) -> None:
        """Its delay has ended, or its client is lost. Not journalled: replay does the same."""
        self.leave(job)
        job.state = READY
        job.deadline_at = 0
        self.enter(job)
        self.offer(job.tube, now)

    def offer(self, tube: Tube, now: int) -> None:
        """Gives ready jobs to waiting clients of the tube, the longest waiting first."""
        if tube.guarded:
            self.expire(tube, now)
        waiting = tube.waiting
        while waiting and tube.ready_count:
            job = self.reservable(tube, now) if tube.guarded else tube.ready.first()
            if job is None:
                return
            client = next(iter(waiting))
            self._stop_waiting(client)
            self._reserve(client, job, now)
            self.woken.append((client, job))

    def _stop_waiting(self, client: Client) -> None:
        client.waiting = False
        self.waiting -= 1
        for tube in client.watched:
            del tube.waiting[client]

    def expire(self, tube: Tube, now: int) -> None:
        """Jobs of a guarded tube that have expired leave it."""

    def reservable(self, tube: Tube, now: int) -> Job | None:
        """The next job of a guarded tube with ready jobs; None if it must not be reserved now."""
        return None if tube.paused_until else tube.ready.first()

    def _best_ready(self, client: Client, now: int) -> Job | None:
        """The job with the smallest (priority, id) in watched tubes that are not paused."""
        best: Job | None = None
        for tube in client.watched:
            if tube.ready_count:
                job = self.reservable(tube, now) if tube.guarded else tube.ready.first()
                if job is not None and (best is None or (job.pri, job.id) < (best.pri, best.id)):
                    best = job
        return best

    # --- tubes ------------------------------------------------------------------------------------

    def tube(self, name: bytes) -> Tube:
        """Returns the tube of this name. Creates it if it does not exist."""
        tube = self.tubes.get(name)
        if tube is None:
            self.orders += 1
            tube = Tube(name, len(self.tube_list), self.orders, self.jobs)
            self.apply_policy(tube)
            if self.measures_waits:
                tube.measure_waits()
            self.tubes[name] = tube
            self.tube_list.append(tube)
        return tube

    def remove_if_unused(self, tube: Tube) -> None:
        """Removes a tube without jobs, users and watchers; also its counters and its pause."""
        if tube.jobs or tube.using or tube.watching or tube.kept:
            return
        if self.tubes.get(tube.name) is not tube:  # an expired job was its last one
            return
        if tube.paused_until and self.journal is not None:
            self.journal.pause(tube, 0, 0)
        del self.tubes[tube.name]
        tube.timer_at = NEVER
        moved = swap_remove(self.tube_list, tube.place)
        if moved is not None:
            moved.place = tube.place
