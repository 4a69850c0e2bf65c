"""Outcomes of the queue as replies: what the commands of `Dispatcher` and `Extensions` share.

If there is no memory for a reply, the reply is OUT_OF_MEMORY, and a job that the client was to get
is ready again.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.protocol import replies, yaml
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES
from beanstalkd_py.queue.model import Client, Job, Tube
from beanstalkd_py.queue.outcome import UNFINISHED, Outcome
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import PeerSnapshot

REPLIES: Final[dict[Outcome, bytes]] = {
    Outcome.NOT_FOUND: replies.NOT_FOUND,
    Outcome.NO_HEADROOM: replies.OUT_OF_MEMORY,
    Outcome.NO_MEMORY: replies.OUT_OF_MEMORY,
    Outcome.TUBE_FULL: replies.TUBE_FULL,
    Outcome.DRAINING: replies.DRAINING,
    Outcome.NOT_IGNORED: replies.NOT_IGNORED,
    Outcome.DEADLINE_SOON: replies.DEADLINE_SOON,
    Outcome.TIMED_OUT: replies.TIMED_OUT,
}

LONG_BODY: Final = 256 * 1024  # bytes; a reply with a longer body is not joined
BATCH_BYTES: Final = 256 * 1024  # a batch ends with the job that reaches it
_ATTEMPTS: Final = 2  # to allocate a reply; before the second one the memory reserve is released


class Answers:
    """pieces: of a reply that is not joined; the session takes them at once. clients: by the number
    of their connection. peer: returns what the server knows of the client of a session.
    clock_offset: returns wall clock minus boot time, ns.
    """

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.pieces: list[bytes] = []
        self.clients: dict[int, Client] = {}
        self.clock_offset: Callable[[], int] = lambda: 0
        self.peer: Callable[[object, int], PeerSnapshot] = lambda session, now: PeerSnapshot()

    def reserved(self, client: Client, now: int, outcome: Job | Outcome) -> bytes | None:
        """The reply to a reserve, at once or after waiting."""
        if client.batch:
            return self.reserved_batch(client, now, outcome)
        if not isinstance(outcome, Job):
            return REPLIES[outcome]
        reply = self.with_body(replies.RESERVED, replies.RESERVED_LINE, outcome)
        if reply is replies.OUT_OF_MEMORY:
            self.queue.give_back(outcome, now)
        return reply

    def reserved_batch(self, client: Client, now: int, outcome: Job | Outcome) -> bytes | None:
        """The reply to a reserve-batch. The client gets more jobs that are ready now, until their
        bodies have BATCH_BYTES.
        """
        most = client.batch
        client.batch = 0
        if not isinstance(outcome, Job):
            return REPLIES[outcome]
        jobs = [outcome]
        nbytes = len(outcome.body)
        while len(jobs) < most and nbytes < BATCH_BYTES:
            more = self.queue.reserve(client, now, now)
            if not isinstance(more, Job):
                break
            jobs.append(more)
            nbytes += len(more.body)
        for _ in range(_ATTEMPTS):
            try:
                self.pieces = _batch(jobs)
                return None
            except MemoryError:
                self.queue.memory.release()
        for job in jobs:
            self.queue.give_back(job, now)
        return replies.OUT_OF_MEMORY

    def more_of_job(self, job: Job, now: int) -> list[tuple[str, object]]:
        """What only a client with capabilities gets."""
        return yaml.attributes(self.queue.attributes.get(job.id, NO_ATTRIBUTES), now)

    def found(self, outcome: Job | Outcome) -> bytes | None:
        if not isinstance(outcome, Job):
            return REPLIES[outcome]
        return self.with_body(replies.FOUND, replies.FOUND_LINE, outcome)

    def with_body(self, template: bytes, line: bytes, job: Job) -> bytes | None:
        """A reply with the job's body: whole, or in `pieces` without a copy of the body."""
        body = job.body
        nbytes = len(body)
        for _ in range(_ATTEMPTS):
            try:
                if nbytes > LONG_BODY:
                    self.pieces = [line % (job.id, nbytes), body, b"\r\n"]
                    return None
                return template % (job.id, nbytes, body)
            except MemoryError:
                self.queue.memory.release()
        return replies.OUT_OF_MEMORY

    def report(self, make: Callable[[], bytes]) -> bytes:
        """The reply that `make` returns. It may be long: `list-tubes` names every tube."""
        for _ in range(_ATTEMPTS):
            try:
                return make()
            except MemoryError:
                self.queue.memory.release()
        return replies.OUT_OF_MEMORY

    def kick_in_slices(self, client: Client, now: int, tube: Tube, bound: int) -> bytes | None:
        kick = self.queue.begin_kick(tube, bound)
        return in_slices(
            client, now, lambda now: counted(replies.KICKED_COUNT, self.queue.kick(kick, now))
        )


def _batch(jobs: list[Job]) -> list[bytes]:
    pieces = [replies.RESERVED_BATCH % len(jobs)]
    for job in jobs:
        body = job.body
        nbytes = len(body)
        if nbytes > LONG_BODY:
            pieces += [replies.RESERVED_LINE % (job.id, nbytes), body, b"\r\n"]
        else:
            pieces.append(replies.RESERVED % (job.id, nbytes, body))
    return pieces


def counted(template: bytes, outcome: int | Outcome) -> bytes | None:
    """The reply to a command on many jobs. None if it is unfinished."""
    if isinstance(outcome, int):
        return template % outcome
    return None if outcome is UNFINISHED else REPLIES[outcome]


def in_slices(client: Client, now: int, go_on: Callable[[int], bytes | None]) -> bytes | None:
    """The reply to a command that may take long. Each call of `go_on` does one slice and returns
    the reply, or None if more is left. Other clients are served between two slices.
    """
    reply = go_on(now)
    if reply is None:
        client.unfinished = go_on
    return reply
