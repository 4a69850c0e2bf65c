"""Dispatch: turns a parsed command into a request to the queue, and the outcome into a reply.

Each command is a method `(client, now, command) -> reply`: `now` is boot time in ns, `command` the
parser's tuple. It returns None if there is no reply now: the client waits or quits, or a kick is
unfinished. It returns b"" if the command has no reply of its own. A reply with a long body is not
joined, because the copy could be a gigabyte: the method returns None, and the reply is in `pieces`.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.protocol import replies, yaml
from beanstalkd_py.protocol.answers import LONG_BODY, REPLIES, Answers, in_slices
from beanstalkd_py.protocol.commands import (
    COUNTERS,
    EXTENSION_COUNTERS,
    EXTENSIONS,
    HANDLERS,
    PUT,
    Command,
)
from beanstalkd_py.protocol.extensions import Extensions
from beanstalkd_py.queue import snapshot
from beanstalkd_py.queue.model import NEVER, RESERVED, Client, Job
from beanstalkd_py.queue.oldest import Oldest
from beanstalkd_py.queue.outcome import DONE, WAITING
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import LimitsSnapshot, LogSnapshot, ProcessSnapshot

Handler = Callable[[Client, int, Command], bytes | None]

OUTPUT_LIMIT: Final = 256 * 1024  # bytes of replies that a session makes at once


class Dispatcher(Answers):
    """The commands on one queue. Those that the C server does not have are in `Extensions`.

    max_job_size: bytes of the largest body that put accepts. binlog_max_size: the bytes of -s, for
    `stats` only. process, log, limits: return figures for `stats`; log returns None without a
    binlog. output_limit: a session with more bytes of replies makes no more of them before they are
    taken; the owner may change it at any time.
    """

    def __init__(
        self,
        queue: Queue,
        *,
        max_job_size: int = 65535,
        binlog_max_size: int = 10485760,
        process: Callable[[], ProcessSnapshot] = ProcessSnapshot,
        log: Callable[[], LogSnapshot | None] = lambda: None,
        limits: Callable[[], LimitsSnapshot] = LimitsSnapshot,
    ) -> None:
        super().__init__(queue)
        self.max_job_size = max_job_size
        self.binlog_max_size = binlog_max_size
        self.process = process
        self.log = log
        self.limits = limits
        self.output_limit = OUTPUT_LIMIT
        extensions = Extensions(self, process)
        names = {row.handler for row in EXTENSIONS}
        self.handlers: list[Handler] = [
            getattr(extensions if name in names else self, name) for name in HANDLERS
        ]
        self.counts = [0] * len(self.handlers)  # by operation; `Session.run` counts commands

    # --- jobs -------------------------------------------------------------------------------------

    def put(self, client: Client, now: int, command: Command) -> bytes:
        """A put that came with its whole body."""
        _, pri, delay, ttr, body = command
        outcome = self.queue.put(client, client.used, now, pri, delay, ttr, body)
        return b"INSERTED %d\r\n" % outcome if isinstance(outcome, int) else REPLIES[outcome]

    def put_begin(self, client: Client, now: int, command: Command) -> bytes:
        """A put whose body is incomplete."""
        self.counts[PUT] += 1
        self.queue.begin_put(client, now)
        return b""

    def put_end(self, client: Client, now: int, command: Command) -> bytes:
        return self.put(client, now, command)

    def other_put_begin(self, client: Client, now: int, command: Command) -> bytes:
        """A put of an extension, whose body follows."""
        self.counts[command[1]] += 1
        self.queue.begin_put(client, now)
        return b""

    def other_put_end(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.handlers[command[1]](client, now, command[1:])

    def put_abort(self, client: Client, now: int, command: Command) -> bytes:
        self.queue.abort_put(client)
        reply: bytes = command[1]
        return reply

    def reserve(self, client: Client, now: int, command: Command) -> bytes | None:
        outcome = self.queue.reserve(client, now, NEVER)
        if isinstance(outcome, Job):  # as in `reserved`; without the call it takes 0.06 us less
            body = outcome.body
            nbytes = len(body)
            if nbytes <= LONG_BODY:
                try:
                    return b"RESERVED %d %d\r\n%b\r\n" % (outcome.id, nbytes, body)
                except MemoryError:
                    pass
            return self.reserved(client, now, outcome)
        return None if outcome is WAITING else REPLIES[outcome]

    def reserve_with_timeout(self, client: Client, now: int, command: Command) -> bytes | None:
        outcome = self.queue.reserve(client, now, now + command[1])
        if isinstance(outcome, Job):
            body = outcome.body
            nbytes = len(body)
            if nbytes <= LONG_BODY:
                try:
                    return b"RESERVED %d %d\r\n%b\r\n" % (outcome.id, nbytes, body)
                except MemoryError:
                    pass
            return self.reserved(client, now, outcome)
        return None if outcome is WAITING else REPLIES[outcome]

    def reserve_job(self, client: Client, now: int, command: Command) -> bytes | None:
        """The reply is made first: without memory for it, the job stays as it is."""
        id = command[1]
        job = self.queue.jobs.get(id)
        reply = None
        if job is not None and job.state != RESERVED:
            reply = self.with_body(replies.RESERVED, replies.RESERVED_LINE, job)
            if reply is replies.OUT_OF_MEMORY:
                return reply
        outcome = self.queue.reserve_job(client, now, id)
        if isinstance(outcome, Job):
            return reply
        self.pieces = []
        return REPLIES[outcome]

    def delete(self, client: Client, now: int, command: Command) -> bytes:
        outcome = self.queue.delete(client, now, command[1])
        return replies.DELETED if outcome is DONE else REPLIES[outcome]

    def release(self, client: Client, now: int, command: Command) -> bytes:
        _, id, pri, delay = command
        outcome = self.queue.release(client, now, id, pri, delay)
        return replies.RELEASED if outcome is DONE else REPLIES[outcome]

    def bury(self, client: Client, now: int, command: Command) -> bytes:
        _, id, pri = command
        outcome = self.queue.bury(client, now, id, pri)
        return replies.BURIED if outcome is DONE else REPLIES[outcome]

    def touch(self, client: Client, now: int, command: Command) -> bytes:
        outcome = self.queue.touch(client, now, command[1])
        return replies.TOUCHED if outcome is DONE else REPLIES[outcome]

    def kick(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.kick_in_slices(client, now, client.used, command[1])

    def kick_job(self, client: Client, now: int, command: Command) -> bytes:
        outcome = self.queue.kick_job(now, command[1])
        return replies.KICKED if outcome is DONE else REPLIES[outcome]

    def peek(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.found(self.queue.peek(command[1]))

    def peek_ready(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.found(self.queue.peek_ready(client.used))

    def peek_delayed(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.found(self.queue.peek_delayed(client.used))

    def peek_buried(self, client: Client, now: int, command: Command) -> bytes | None:
        return self.found(self.queue.peek_buried(client.used))

    # --- tubes ------------------------------------------------------------------------------------

    def use(self, client: Client, now: int, command: Command) -> bytes:
        return replies.USING % self.queue.use(client, command[1]).name

    def watch(self, client: Client, now: int, command: Command) -> bytes:
        return replies.WATCHING % self.queue.watch(client, command[1])

    def ignore(self, client: Client, now: int, command: Command) -> bytes:
        outcome = self.queue.ignore(client, command[1])
        return replies.WATCHING % outcome if isinstance(outcome, int) else REPLIES[outcome]

    def pause_tube(self, client: Client, now: int, command: Command) -> bytes:
        _, name, pause = command
        outcome = self.queue.pause_tube(now, name, pause)
        return replies.PAUSED if outcome is DONE else REPLIES[outcome]

    # --- stats and lists --------------------------------------------------------------------------

    def stats(self, client: Client, now: int, command: Command) -> bytes | None:
        if not client.has_capabilities:
            return self._stats(now, [])
        oldest = Oldest(self.queue, None)
        return in_slices(
            client,
            now,
            lambda now: (
                self._stats(now, self._more_stats(oldest, now)) if oldest.search() else None
            ),
        )

    def _stats(self, now: int, more: list[tuple[str, object]]) -> bytes:
        return self.report(
            lambda: yaml.server(
                snapshot.of_queue(self.queue),
                self.process(),
                self.log() or LogSnapshot(),
                self._counted(COUNTERS),
                self.max_job_size,
                self.binlog_max_size,
                now,
                more,
            )
        )

    def _counted(self, counters: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
        return [(key, self.counts[operation]) for key, operation in counters]

    def _more_stats(self, oldest: Oldest, now: int) -> list[tuple[str, object]]:
        """What only a client with capabilities gets."""
        return [
            *self._counted(EXTENSION_COUNTERS),
            ("current-job-bytes", self.queue.memory.used),
            ("expired-jobs", self.queue.expired),
            *yaml.limits(self.limits()),
            *yaml.oldest(oldest.job, now),
        ]

    def stats_job(self, client: Client, now: int, command: Command) -> bytes:
        job = self.queue.jobs.get(command[1])
        if job is None:
            return replies.NOT_FOUND
        more = self.more_of_job(job, now) if client.has_capabilities else []
        return yaml.job(snapshot.of_job(job, now), more)

    def stats_tube(self, client: Client, now: int, command: Command) -> bytes | None:
        tube = self.queue.tubes.get(command[1])
        if tube is None:
            return replies.NOT_FOUND
        if not client.has_capabilities:
            return yaml.tube(snapshot.of_tube(tube, now))
        found = tube
        oldest = Oldest(self.queue, tube)
        return in_slices(
            client,
            now,
            lambda now: (
                yaml.tube(snapshot.of_tube(found, now), yaml.more_of_tube(found, oldest.job, now))
                if oldest.search()
                else None
            ),
        )

    def list_tubes(self, client: Client, now: int, command: Command) -> bytes:
        return self.report(lambda: yaml.names(tube.name for tube in self.queue.tube_list))

    def list_tube_used(self, client: Client, now: int, command: Command) -> bytes:
        return replies.USING % client.used.name

    def list_tubes_watched(self, client: Client, now: int, command: Command) -> bytes:
        return self.report(lambda: yaml.names(tube.name for tube in client.watched))

    # --- commands that do not reach the queue -----------------------------------------------------

    def quit(self, client: Client, now: int, command: Command) -> None:
        """`Session.run` closes the session."""

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
