"""The queue: the requests of clients, and the rules for them. Deterministic: time is an argument.

A method takes the client and `now` (boot time, ns) and returns the result: a job, a tube, a number,
or an `Outcome`. The queue knows no protocol. Every change of a job goes through `State`.

Source: beanstalkd 1.13, prot.c. Where the C server has a bug, the queue follows a corrected rule.
Such bugs are: a lost job, an upload that others can see, an unfair order of waiting clients.
"""

from beanstalkd_py.queue.journal import Counters
from beanstalkd_py.queue.model import (
    BURIED,
    DELAYED,
    MARGIN,
    NEVER,
    READY,
    RESERVED,
    Client,
    Job,
    Kick,
    Tube,
    swap_remove,
)
from beanstalkd_py.queue.outcome import (
    DEADLINE_SOON,
    DONE,
    NO_HEADROOM,
    NOT_FOUND,
    NOT_IGNORED,
    TIMED_OUT,
    UNFINISHED,
    WAITING,
    Outcome,
)
from beanstalkd_py.queue.puts import Puts
from beanstalkd_py.queue.state import SLICE_JOBS


class Queue(Puts):
    """All jobs of one server, and the requests of its clients."""

    # --- reserve ----------------------------------------------------------------------------------

    def reserve(self, client: Client, now: int, wait_until: int) -> Job | Outcome:
        """The ready job with the smallest (priority, id) in the tubes that the client watches.

        If there is none, it returns DEADLINE_SOON, TIMED_OUT or WAITING. TIMED_OUT: `wait_until`
        (boot time, ns, or NEVER) has come. WAITING: the outcome will be appended to `woken`.
        """
        if not client.worker:
            self._mark_worker(client)
        watched = client.watched
        if len(watched) == 1:  # as in _best_ready, without the call
            tube = watched[0]
            job = None
            if tube.ready_count:
                job = self.reservable(tube, now) if tube.guarded else tube.ready.first()
        else:
            job = self._best_ready(client, now)
        if job is not None:
            self._reserve(client, job, now)
            return job
        if client.reserved and client.soonest_deadline() - MARGIN <= now:
            return DEADLINE_SOON
        if client.half_closed or wait_until <= now:
            return TIMED_OUT
        client.waiting = True
        client.waits_since = now
        client.wait_until = wait_until
        self.waiting += 1
        for tube in client.watched:
            tube.waiting[client] = None
        if wait_until != NEVER or client.reserved:
            self._plan_client(client)
        return WAITING

    def reserve_job(self, client: Client, now: int, id: int) -> Job | Outcome:
        """Reserves a job by its id, from any state except reserved. An UPDATE record tells that the
        job is no longer delayed or buried.
        """
        job = self.jobs.get(id)
        if job is None or job.state == RESERVED:
            return NOT_FOUND
        if job.state != READY and self.journal is not None:
            _, timeouts, releases, buries, kicks = job.history
            counters = (job.reserves + 1, timeouts, releases, buries, kicks)
            if not self.journal.change(job, RESERVED, job.pri, job.delay, now + job.ttr, counters):
                return NO_HEADROOM
            self.drop_key(job)
        self._mark_worker(client)
        self._reserve(client, job, now)
        return job

    def give_back(self, job: Job, now: int) -> None:
        """The client cannot be told that it has reserved the job: the job is ready again, as if the
        client had disconnected.
        """
        self._to_ready(job, now)

    def _mark_worker(self, client: Client) -> None:
        if not client.worker:
            client.worker = True
            self.workers += 1

    # --- changes of a job -------------------------------------------------------------------------

    def delete(self, client: Client, now: int, id: int) -> Outcome:
        """Deletes a job in any state; a reserved one only for the client that holds it. Returns
        DONE, NOT_FOUND or NO_HEADROOM.
        """
        job = client.reserved.get(id)
        if job is None:
            job = self.jobs.get(id)
            if job is None or job.state == RESERVED:
                return NOT_FOUND
        if self.journal is not None and not self.journal.delete(job):
            return NO_HEADROOM
        tube = job.tube
        if tube.guarded:
            self.remove(job)
            self.offer(tube, now)
        else:
            self.apply_delete(job)
        tube.delete_count += 1
        if not tube.jobs:
            self.remove_if_unused(tube)
        return DONE

    def _change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        """Journal, then memory. False when the journal has no headroom: nothing has changed."""
        if self.journal is not None and not self.journal.change(
            job, state, pri, delay, deadline_at, counters
        ):
            return False
        self.apply_change(job, state, pri, delay, deadline_at, counters)
        return True

    def release(self, client: Client, now: int, id: int, pri: int, delay: int) -> Outcome:
        """Makes a job that the client holds ready again, or delays it by `delay` ns."""
        job = client.reserved.get(id)
        if job is None:
            return NOT_FOUND
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases + 1, buries, kicks)
        if job.tube.guarded and self.is_used_up(job):
            return self.give_up(job, now, pri, counters)
        if not self._change(
            job, DELAYED if delay else READY, pri, delay, now + delay if delay else 0, counters
        ):
            return NO_HEADROOM
        self.offer(job.tube, now)
        return DONE

    def bury(self, client: Client, now: int, id: int, pri: int) -> Outcome:
        """Buries a job that the client holds."""
        job = client.reserved.get(id)
        if job is None:
            return NOT_FOUND
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries + 1, kicks)
        if not self._change(job, BURIED, pri, job.delay, self.next_bury, counters):
            return NO_HEADROOM
        if job.tube.guarded:
            self.offer(job.tube, now)
        return DONE

    def touch(self, client: Client, now: int, id: int) -> Outcome:
        """Begins the TTR of a job that the client holds again. A touch is not journalled, because a
        restart makes all reserved jobs ready.
        """
        job = client.reserved.get(id)
        if job is None:
            return NOT_FOUND
        job.deadline_at = now + job.ttr
        client.deadlines.push(job.deadline_at, id, len(client.reserved))
        self._plan_client(client)
        return DONE

    # --- kick -------------------------------------------------------------------------------------

    def begin_kick(self, tube: Tube, bound: int) -> Kick:
        """A kick of up to `bound` buried jobs; if there are none, of up to `bound` delayed ones."""
        buried = bool(tube.buried)
        return Kick(tube, buried, min(bound, len(tube.buried) if buried else tube.delayed_count))

    def kick(self, kick: Kick, now: int) -> int | Outcome:
        """Makes the next slice of jobs ready, so that other clients are served between two slices.

        Returns how many were kicked in all, or NO_HEADROOM if the journal refused the first one.
        UNFINISHED: it must be called again.
        """
        for _ in range(min(kick.left, SLICE_JOBS)):
            job = self._kickable(kick.tube, kick.buried)
            if job is None or not self._kick(job, now):
                return kick.kicked if kick.kicked or job is None else NO_HEADROOM
            kick.kicked += 1
            kick.left -= 1
        return UNFINISHED if kick.left else kick.kicked

    def _kickable(self, tube: Tube, buried: bool) -> Job | None:
        return next(iter(tube.buried.values()), None) if buried else tube.delayed.first()

    def kick_job(self, now: int, id: int) -> Outcome:
        """Kicks one job by its id, if it is buried or delayed."""
        job = self.jobs.get(id)
        if job is None or job.state not in (BURIED, DELAYED):
            return NOT_FOUND
        return DONE if self._kick(job, now) else NO_HEADROOM

    def _kick(self, job: Job, now: int) -> bool:
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries, kicks + 1)
        if not self._change(job, READY, job.pri, job.delay, 0, counters):
            return False
        self.offer(job.tube, now)
        return True

    # --- peek -------------------------------------------------------------------------------------

    def peek(self, id: int) -> Job | Outcome:
        """A job by its id, in any state."""
        return self.jobs.get(id) or NOT_FOUND

    def peek_ready(self, tube: Tube) -> Job | Outcome:
        """The job that a reserve would take."""
        return tube.ready.first() or NOT_FOUND

    def peek_delayed(self, tube: Tube) -> Job | Outcome:
        """The job with the least delay left."""
        return tube.delayed.first() or NOT_FOUND

    def peek_buried(self, tube: Tube) -> Job | Outcome:
        """The job that was buried first."""
        return next(iter(tube.buried.values()), None) or NOT_FOUND

    # --- tubes ------------------------------------------------------------------------------------

    def use(self, client: Client, name: bytes) -> Tube:
        """Sets the tube for the client's puts. Creates the tube if it does not exist."""
        tube = self.tube(name)
        tube.using += 1
        old = client.used
        client.used = tube
        old.using -= 1
        self.remove_if_unused(old)
        return tube

    def watch(self, client: Client, name: bytes) -> int:
        """Adds a tube to the watch list. Returns the length of the list."""
        tube = self.tube(name)
        if tube not in client.places:
            client.places[tube] = len(client.watched)
            client.watched.append(tube)
            tube.watching += 1
        return len(client.watched)

    def ignore(self, client: Client, name: bytes) -> int | Outcome:
        """Takes a tube off the watch list. Returns the length of the list, or NOT_IGNORED."""
        tube = self.tubes.get(name)
        if tube is not None and tube in client.places:
            if len(client.watched) == 1:
                return NOT_IGNORED
            place = client.places.pop(tube)
            moved = swap_remove(client.watched, place)
            if moved is not None:
                client.places[moved] = place
            tube.watching -= 1
            self.remove_if_unused(tube)
        return len(client.watched)

    def pause_tube(self, now: int, name: bytes, pause: int) -> Outcome:
        """Pauses the tube: none of its jobs can be reserved for `pause` ns. 0 ends a pause, and is
        counted as a pause in `stats-tube`.
        """
        tube = self.tubes.get(name)
        if tube is None:
            return NOT_FOUND
        until = now + pause if pause else 0
        if (
            self.journal is not None
            and (pause or tube.paused_until)
            and not self.journal.pause(tube, pause, until)
        ):
            return NO_HEADROOM
        self.apply_pause(tube, pause, until)
        tube.pause_count += 1
        self.offer(tube, now)
        if not pause and tube.kept and tube is not self.default:  # replay kept it for its pause
            tube.kept = False
            self.remove_if_unused(tube)
        return DONE
