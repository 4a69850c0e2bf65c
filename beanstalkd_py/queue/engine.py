"""The engine: the commands and their rules. Deterministic: time is an argument. No I/O, no clock.

Each command is a method `(client, now, command) -> reply`: `now` is monotonic ns, `command` the
parser's tuple, the reply bytes; None means that the client waits (reserve) or is gone (quit), b""
that there is nothing to say yet. What a command changes, it changes through `state`.

Source: beanstalkd 1.13, prot.c; where the C server is at fault (a job lost in limbo, an upload that
can be seen, unfair waiters), the repaired rule.
"""

from beanstalkd_py.protocol import parser as protocol
from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol import yaml as stats
from beanstalkd_py.protocol.parser import Command
from beanstalkd_py.queue.model import (
    BURIED,
    DELAYED,
    NEVER,
    READY,
    RESERVED,
    Client,
    Job,
    Kick,
    Tube,
    first_delayed,
    first_ready,
    swap_remove,
)
from beanstalkd_py.queue.state import AT_ONCE, Counters, State


class Engine(State):
    """The state of one server and the commands on it."""

    def __init__(self, max_job_size: int = 65535, process: "stats.Process | None" = None) -> None:
        super().__init__(max_job_size, process)
        self.handlers = [
            self.put, self.peek, self.peek_ready, self.peek_delayed, self.peek_buried, self.reserve, self.reserve_with_timeout,
            self.delete, self.release, self.use, self.watch, self.ignore, self.bury, self.kick, self.touch, self.stats,
            self.stats_job, self.stats_tube, self.list_tubes, self.list_tube_used, self.list_tubes_watched, self.pause_tube,
            self.reserve_job, self.kick_job, self.quit, self.put_begin, self.put_end, self.put_abort, self.reply,
            self.counted_reply, self.count,
        ]  # fmt: skip

    # --- reserve ----------------------------------------------------------------------------------

    def reserve(self, client: Client, now: int, command: Command) -> bytes | None:
        self.counts[protocol.RESERVE] += 1
        return self._reserve_or_wait(client, now, NEVER)

    def reserve_with_timeout(self, client: Client, now: int, command: Command) -> bytes | None:
        self.counts[protocol.RESERVE_TIMEOUT] += 1
        return self._reserve_or_wait(client, now, now + command[1])

    def reserve_job(self, client: Client, now: int, command: Command) -> bytes:
        """Takes a job by its id out of any state but reserved. That it is no longer delayed or
        buried is journalled.
        """
        job = self.jobs.get(command[1])
        if job is None or job.state == RESERVED:
            return replies.NOT_FOUND
        if job.state != READY and self.journal is not None:
            _, timeouts, releases, buries, kicks = job.history
            counters = (job.reserves + 1, timeouts, releases, buries, kicks)
            if not self.journal.change(job, RESERVED, job.pri, job.delay, now + job.ttr, counters):
                return replies.OUT_OF_MEMORY
        if not client.worker:
            client.worker = True
            self.workers += 1
        return self._reserve(client, job, now)

    # --- put --------------------------------------------------------------------------------------

    def put(self, client: Client, now: int, command: Command) -> bytes:
        """A put whose body came with it (law 1: journal, then memory)."""
        self.counts[protocol.PUT] += 1
        if not client.producer:
            client.producer = True
            self.producers += 1
        id = self.next_id
        self.next_id = id + 1
        return self._put(client, now, id, now, command)

    def put_begin(self, client: Client, now: int, command: Command) -> bytes:
        """Only the line of a put is here. The id is taken now, as the C server does it; nobody sees
        the job before it is whole.
        """
        self.counts[protocol.PUT] += 1
        if not client.producer:
            client.producer = True
            self.producers += 1
        client.upload_id = self.next_id
        client.upload_at = now
        self.next_id += 1
        return b""

    def put_end(self, client: Client, now: int, command: Command) -> bytes:
        return self._put(client, now, client.upload_id, client.upload_at, command)

    def put_abort(self, client: Client, now: int, command: Command) -> bytes:
        reply: bytes = command[1]
        return reply

    def _put(self, client: Client, now: int, id: int, created_at: int, command: Command) -> bytes:
        if self.draining:
            return replies.DRAINING
        _, pri, delay, ttr, body = command
        tube = client.used
        state = DELAYED if delay else READY
        deadline_at = now + delay if delay else 0
        home = None
        if self.journal is not None:
            home = self.journal.put(
                id, tube.name, state, pri, delay, ttr, body, created_at, deadline_at
            )
            if home is None:
                return replies.OUT_OF_MEMORY
        job = self.apply_put(id, tube, state, pri, delay, ttr, body, created_at, deadline_at)
        job.full_segment = home
        tube.total_jobs += 1
        self.total_jobs += 1
        if tube.waiting:
            self._offer(tube, now)
        return b"INSERTED %d\r\n" % id

    # --- changes of a job -------------------------------------------------------------------------

    def delete(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.DELETE] += 1
        job = self.jobs.get(command[1])
        if job is None or (job.state == RESERVED and job.owner is not client):
            return replies.NOT_FOUND
        if self.journal is not None and not self.journal.delete(job):
            return replies.OUT_OF_MEMORY
        tube = job.tube
        self.apply_delete(job)
        tube.delete_count += 1
        if not tube.jobs:
            self.remove_if_unused(tube)
        return replies.DELETED

    def _change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        """Journal, then memory. False when the journal has no room: nothing has changed."""
        if self.journal is not None and not self.journal.change(
            job, state, pri, delay, deadline_at, counters
        ):
            return False
        self.apply_change(job, state, pri, delay, deadline_at, counters)
        return True

    def _held(self, client: Client, id: int) -> Job | None:
        return client.reserved.get(id)

    def release(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.RELEASE] += 1
        _, id, pri, delay = command
        job = self._held(client, id)
        if job is None:
            return replies.NOT_FOUND
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases + 1, buries, kicks)
        if not self._change(
            job, DELAYED if delay else READY, pri, delay, now + delay if delay else 0, counters
        ):
            return replies.OUT_OF_MEMORY
        self._offer(job.tube, now)
        return replies.RELEASED

    def bury(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.BURY] += 1
        _, id, pri = command
        job = self._held(client, id)
        if job is None:
            return replies.NOT_FOUND
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries + 1, kicks)
        if not self._change(job, BURIED, pri, job.delay, self.next_bury, counters):
            return replies.OUT_OF_MEMORY
        return replies.BURIED

    def touch(self, client: Client, now: int, command: Command) -> bytes:
        """A new deadline. Not journalled: after a restart nobody holds it."""
        self.counts[protocol.TOUCH] += 1
        job = self._held(client, command[1])
        if job is None:
            return replies.NOT_FOUND
        job.deadline_at = now + job.ttr
        client.add_deadline(job)
        self._plan_client(client)
        return replies.TOUCHED

    def _kick(self, job: Job, now: int) -> bool:
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts, releases, buries, kicks + 1)
        if not self._change(job, READY, job.pri, job.delay, 0, counters):
            return False
        self._offer(job.tube, now)
        return True

    def kick(self, client: Client, now: int, command: Command) -> bytes | None:
        """Up to `bound` buried jobs, or, if there are none, delayed ones. The count is of jobs that
        were kicked.

        Of many, some at once; None: not all of them yet. It goes on with `kick_on`, when others
        have been served.
        """
        self.counts[protocol.KICK] += 1
        tube = client.used
        buried = bool(tube.buried)
        client.kick = Kick(
            buried, min(command[1], len(tube.buried) if buried else tube.delayed_count)
        )
        return self.kick_on(client, client.kick, now)

    def kick_on(self, client: Client, kick: Kick, now: int) -> bytes | None:
        for _ in range(min(kick.left, AT_ONCE)):
            job = self._kickable(client.used, kick.buried)
            if job is None or not self._kick(job, now):
                client.kick = None
                return (
                    replies.KICKED_COUNT % kick.kicked
                    if kick.kicked or job is None
                    else replies.OUT_OF_MEMORY
                )
            kick.kicked += 1
            kick.left -= 1
        if kick.left:
            return None
        client.kick = None
        return replies.KICKED_COUNT % kick.kicked

    def _kickable(self, tube: Tube, buried: bool) -> Job | None:
        return next(iter(tube.buried.values()), None) if buried else first_delayed(tube, self.jobs)

    def kick_job(self, client: Client, now: int, command: Command) -> bytes:
        job = self.jobs.get(command[1])
        if job is None or job.state not in (BURIED, DELAYED):
            return replies.NOT_FOUND
        return replies.KICKED if self._kick(job, now) else replies.OUT_OF_MEMORY

    # --- peeking ----------------------------------------------------------------------------------

    def _found(self, job: Job | None) -> bytes:
        return (
            replies.NOT_FOUND if job is None else replies.FOUND % (job.id, len(job.body), job.body)
        )

    def peek(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.PEEK] += 1
        return self._found(self.jobs.get(command[1]))

    def peek_ready(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.PEEK_READY] += 1
        return self._found(first_ready(client.used, self.jobs))

    def peek_delayed(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.PEEK_DELAYED] += 1
        return self._found(first_delayed(client.used, self.jobs))

    def peek_buried(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.PEEK_BURIED] += 1
        return self._found(next(iter(client.used.buried.values()), None))

    # --- tubes ------------------------------------------------------------------------------------

    def use(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.USE] += 1
        tube = self.tube(command[1])
        tube.using += 1
        old = client.used
        client.used = tube
        old.using -= 1
        self.remove_if_unused(old)
        return replies.USING % tube.name

    def watch(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.WATCH] += 1
        tube = self.tube(command[1])
        if tube not in client.places:
            client.places[tube] = len(client.watched)
            client.watched.append(tube)
            tube.watching += 1
        return replies.WATCHING % len(client.watched)

    def ignore(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.IGNORE] += 1
        tube = self.tubes.get(command[1])
        if tube is not None and tube in client.places:
            if len(client.watched) == 1:
                return replies.NOT_IGNORED
            place = client.places.pop(tube)
            moved = swap_remove(client.watched, place)
            if moved is not None:
                client.places[moved] = place
            tube.watching -= 1
            self.remove_if_unused(tube)
        return replies.WATCHING % len(client.watched)

    def pause_tube(self, client: Client, now: int, command: Command) -> bytes:
        """A pause of 0 ends the one there is; it counts as a pause all the same."""
        self.counts[protocol.PAUSE_TUBE] += 1
        _, name, pause = command
        tube = self.tubes.get(name)
        if tube is None:
            return replies.NOT_FOUND
        until = now + pause if pause else 0
        if (
            self.journal is not None
            and (pause or tube.paused_until)
            and not self.journal.pause(tube, pause, until)
        ):
            return replies.OUT_OF_MEMORY
        self.apply_pause(tube, pause, until)
        tube.pause_count += 1
        self._offer(tube, now)
        if not pause and tube.kept and tube is not self.default:  # it came back for its pause only
            tube.kept = False
            self.remove_if_unused(tube)
        return replies.PAUSED

    # --- stats and lists --------------------------------------------------------------------------

    def stats(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.STATS] += 1
        return stats.server(self, now)

    def stats_job(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.STATS_JOB] += 1
        job = self.jobs.get(command[1])
        return replies.NOT_FOUND if job is None else stats.job(job, now)

    def stats_tube(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.STATS_TUBE] += 1
        tube = self.tubes.get(command[1])
        return replies.NOT_FOUND if tube is None else stats.tube(tube, now)

    def list_tubes(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.LIST_TUBES] += 1
        return stats.names(self.tube_list)

    def list_tube_used(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.LIST_TUBE_USED] += 1
        return replies.USING % client.used.name

    def list_tubes_watched(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[protocol.LIST_TUBES_WATCHED] += 1
        return stats.names(client.watched)

    # --- what needs no engine but its counters ----------------------------------------------------

    def quit(self, client: Client, now: int, command: Command) -> None:
        client.quit = True

    def reply(self, client: Client, now: int, command: Command) -> bytes:
        reply: bytes = command[1]
        return reply

    def counted_reply(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[command[2]] += 1
        reply: bytes = command[1]
        return reply

    def count(self, client: Client, now: int, command: Command) -> bytes:
        self.counts[command[1]] += 1
        return b""
