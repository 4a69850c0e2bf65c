"""A model beanstalkd to compare the real one with: bytes in, reply bytes out, time as an argument.

Plain lists and dicts, nothing remembered that can be counted, everything looked for from one end to
the other, each rule as the protocol says it (doc/protocol.txt of beanstalkd 1.13; docs/protocol.md
for what differs). It knows nothing of the real server's code. Its rooms: `model/jobs` (what there
is), `model/state` (what happens to it), `model/commands`, `model/wire` (bytes to commands),
`model/stats` (the YAML).

Where the protocol leaves an order open, here it is: waiting clients first come, first served; what
is due at the same instant in the order delayed jobs (of the older tube first), ends of pauses,
clients (the older connection first); further commands of woken clients when `settle` is called. So
call it as the real one is called: `tick` at each instant of `next_at`, and later only if a single
thing is due by then.

All instants and durations are ns of one clock. A ReferenceModel can be copied with `copy.deepcopy`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from . import commands, parser
from .entities import Client, Job, Tube, swap_remove
from .parser import Bad
from .state import DEADLINE_SOON, TIMED_OUT, State
from .stats import without_unknowns

__all__ = ["Found", "ReferenceModel", "without_unknowns"]


@dataclass
class Found:
    """What a restart leaves open, as the real server has it after its first tick: `ReferenceModel.restart`
    checks that it may be so, and goes on with it.
    """

    next_id: int
    listed: list[bytes]  # names of all tubes, as list-tubes has them
    made: list[bytes]  # the same, in the order in which they came to be
    counts: dict[
        int, tuple[int, int]
    ]  # of each job: reserves and timeouts, which need not be on disk before the job's next record


class ReferenceModel(State):
    """One server. Clients go by the names that the caller gives them.

    `output_limit`: bytes of replies owed to a client beyond which none of its commands is taken,
    until `go_on`. `room`: how many changes of jobs and pauses the disk has room for (None: any
    number); those beyond are refused. To be set before each command.
    """

    output_limit = 1 << 62

    # --- one client's dialogue

    def connect(self, name: Hashable) -> None:
        assert name not in self.clients
        self.total_connections += 1
        self.clients[name] = Client(name, self.default, [self.default])

    def receive(self, name: Hashable, data: bytes, now: int) -> None:
        """Bytes from the client, in any pieces."""
        self.clients[name].inbox += data
        self._run(self.clients[name], now)

    def go_on(self, name: Hashable, now: int) -> None:
        """With commands that were held back until the replies were taken."""
        self._run(self.clients[name], now)

    def half_close(self, name: Hashable, now: int, ended: bool = False) -> None:
        """It will send no more, so it waits for nothing any longer. `ended`: and all that it sent
        is here.
        """
        client = self.clients[name]
        client.half_closed = True
        client.ended = client.ended or ended
        if client in self.waiting:
            self.waiting.remove(client)
            client.outbox += DEADLINE_SOON if self.is_soon(client, now) else TIMED_OUT
        self._run(client, now)

    def disconnect(self, name: Hashable, now: int) -> None:
        """The connection is gone: what it held is ready again."""
        client = self.clients[name]
        client.closed = True
        if client in self.waiting:
            self.waiting.remove(client)
        for job in self.held(client):
            self.move(job, "ready")
            self.serve(now)
        # The C server empties its set of watched tubes by taking out the first one again and again.
        while client.watched:
            tube = client.watched[0]
            swap_remove(client.watched, tube)
            self.remove_if_unused(tube)
        del self.clients[name]
        self.remove_if_unused(client.used)

    def settle(self, now: int) -> None:
        """Those who were woken get their replies, and what they sent behind their reserve goes on;
        until nobody is woken any more.
        """
        while self.woken:
            client, reply = self.woken.pop(0)
            if not client.closed:
                client.outbox += reply
                self._run(client, now)

    def take_output(self, name: Hashable) -> bytes:
        """The replies owed."""
        client = self.clients[name]
        output, client.outbox = client.outbox, b""
        return output

    def is_closed(self, name: Hashable) -> bool:
        """Nothing more will be answered: when its replies are taken, `disconnect` is due."""
        return self.clients[name].closed

    def _run(self, client: Client, now: int) -> None:
        while (
            not client.closed
            and client not in self.waiting
            and len(client.outbox) <= self.output_limit
        ):
            if client.upload is not None:
                reply = self._body(client, now)
            elif b"\r\n" in client.inbox:
                line, _, client.inbox = client.inbox.partition(b"\r\n")
                reply = self._line(client, now, line)
            else:
                reply = None
            if reply is None and client not in self.waiting:
                client.closed = client.ended
                return
            client.outbox += reply or b""

    def _line(self, client: Client, now: int, line: bytes) -> bytes | None:
        try:
            if len(line) + 2 > parser.MAX_LINE:
                raise Bad
            if line.startswith(b"put "):
                numbers = parser.put(line, self.max_job_size)
                self._count("put")
                return commands.put_line(self, client, now, *numbers)
            word, arguments = parser.words(line)
            self._count(word)
            reply: bytes | None = commands.BY_WORD[word](self, client, now, *arguments)
            return reply
        except Bad as bad:
            self._count(bad.counts)
            return bad.reply

    def _count(self, word: str) -> None:
        self.counts[word] = self.counts.get(word, 0) + 1

    def _body(self, client: Client, now: int) -> bytes | None:
        upload = client.upload
        assert upload is not None
        if len(client.inbox) < upload.nbytes + 2:
            return None
        body, end = client.inbox[: upload.nbytes], client.inbox[upload.nbytes : upload.nbytes + 2]
        client.inbox = client.inbox[upload.nbytes + 2 :]
        client.upload = None
        if upload.too_big:
            return b"JOB_TOO_BIG\r\n"
        return (
            commands.put_body(self, client, now, upload, body)
            if end == b"\r\n"
            else b"EXPECTED_CRLF\r\n"
        )

    # --- the end of the process, and its next run

    def restart(self, now: int, shift: int, found: Found) -> None:
        """Killed, and started again with all that was on disk, and ticked.

        now: of the new clock; shift: how far it is ahead of the old one (ns).
        """
        self.clients, self.waiting, self.woken, self.counts = {}, [], [], {}
        self.total_jobs = self.timeouts = self.total_connections = 0
        self.started_at = now
        self.room, self.draining = None, False
        assert self.highest_put < found.next_id <= self.next_id, (
            f"next id {found.next_id}, not {self.highest_put + 1} to {self.next_id}"
        )
        self.next_id = found.next_id
        assert found.counts.keys() == self.jobs.keys(), (
            f"jobs {sorted(found.counts)}, not {sorted(self.jobs)}"
        )
        for job in self.jobs.values():
            self._come_back(job, shift, *found.counts[job.id])
        for tube in list(self.tubes):
            self._tube_comes_back(tube, shift)
        self.tick(now)
        self._put_in_order(found)

    def _come_back(self, job: Job, shift: int, reserves: int, timeouts: int) -> None:
        if job.state == "reserved":
            self.move(job, "ready")
        job.created_at += shift
        job.deadline_at += shift if job.state == "delayed" else 0
        assert job.saved_reserves <= reserves <= job.reserves, (
            f"job {job.id}: {reserves} reserves, not {job.saved_reserves} to {job.reserves}"
        )
        assert job.saved_timeouts <= timeouts <= job.timeouts, (
            f"job {job.id}: {timeouts} timeouts, not {job.saved_timeouts} to {job.timeouts}"
        )
        job.reserves, job.timeouts = reserves, timeouts
        job.save()

    def _tube_comes_back(self, tube: Tube, shift: int) -> None:
        tube.total_jobs = tube.deletes = tube.pauses = 0
        if tube.paused_until:
            tube.kept = True
            tube.paused_until += shift
        self.remove_if_unused(tube)

    def _put_in_order(self, found: Found) -> None:
        names = sorted(tube.name for tube in self.tubes)
        assert sorted(found.listed) == names, f"tubes {sorted(found.listed)}, not {names}"
        self.tubes.sort(key=lambda tube: found.listed.index(tube.name))
        for tube in self.tubes:
            tube.made = found.made.index(tube.name)
        self.tubes_made = len(self.tubes)
