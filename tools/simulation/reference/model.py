"""The reference model: a simple beanstalkd to compare the real server with. Bytes go in, and reply
bytes come out; time is an argument.

It is written for clarity, not speed: plain lists and dicts, linear searches, and no stored number
that can be counted instead. Each rule is as the protocol states it (doc/protocol.txt of beanstalkd
1.13; docs/protocol.md for the differences). It uses no code of the real server.

Modules: `entities` (jobs, tubes, clients), `state` (who gets which job, and timers), `commands`,
`parser` (bytes to commands), `stats` (YAML).

Where the protocol leaves an order open, the model has this one. Waiting clients: first come, first
served. Timers due at the same instant: delayed jobs (older tubes first), ends of pauses, clients
(older connections first). Further commands of woken clients run when `settle` is called. So the
caller calls `tick` at each instant of `next_at`; a later call may find only one timer due.

All instants and durations are ns of one clock. A ReferenceModel can be copied with `copy.deepcopy`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from . import commands, extensions, parser, tubes
from .entities import Client, Job, Tube, Upload, swap_remove
from .parser import BadLine
from .state import DEADLINE_SOON, SECOND, TIMED_OUT, State
from .stats import without_unknowns

__all__ = ["Recovered", "ReferenceModel", "without_unknowns"]


@dataclass
class Recovered:
    """What a restart leaves open, as the real server has it after its first tick.
    `ReferenceModel.restart` checks that the values are possible, and takes them over.
    """

    next_id: int
    listed: list[bytes]  # names of all tubes, in the order of list-tubes
    made: list[bytes]  # the same, in the order of their creation
    # Reserves and timeouts of each job, before the first tick. They may be on disk only with the
    # job's next record.
    counts: dict[int, tuple[int, int]]


BY_WORD = commands.BY_WORD | extensions.BY_WORD | tubes.BY_WORD


class ReferenceModel(State):
    """One server. The caller names the clients.

    `output_limit`: when a client has more bytes of pending replies, its commands wait for `go_on`.
    `changes_left`: how many changes of jobs and pauses the disk has space for (None: any number).
    Further changes are refused. The caller sets it before each command.
    """

    output_limit = 1 << 62

    # --- one client

    def connect(self, name: Hashable) -> None:
        assert name not in self.clients
        self.total_connections += 1
        self.clients[name] = Client(
            name, self.default, [self.default], number=self.total_connections
        )

    def receive(self, name: Hashable, data: bytes, now: int) -> None:
        """Bytes from the client, in any pieces."""
        self.clients[name].inbox += data
        self._run(self.clients[name], now)

    def go_on(self, name: Hashable, now: int) -> None:
        """Runs commands that waited until the replies were taken."""
        self._run(self.clients[name], now)

    def half_close(self, name: Hashable, now: int, ended: bool = False) -> None:
        """The client sends no more, so it stops waiting. `ended`: all its bytes have arrived."""
        client = self.clients[name]
        client.half_closed = True
        client.ended = client.ended or ended
        if client in self.waiting:
            self.waiting.remove(client)
            client.batch = 0
            client.outbox += DEADLINE_SOON if self.is_soon(client, now) else TIMED_OUT
        self._run(client, now)

    def disconnect(self, name: Hashable, now: int) -> None:
        """The connection is gone; the jobs that it reserved are ready again."""
        client = self.clients[name]
        client.closed = True
        if client in self.waiting:
            self.waiting.remove(client)
        for job in self.held(client):
            self.lose(job)
            self.serve(now)
        # The C server empties its set of watched tubes by removing the first one repeatedly.
        while client.watched:
            tube = client.watched[0]
            swap_remove(client.watched, tube)
            self.remove_if_unused(tube)
        del self.clients[name]
        self.remove_if_unused(client.used)

    def settle(self, now: int) -> None:
        """Woken clients get their replies, and the commands that they sent after the reserve run.
        That can wake further clients.
        """
        while self.woken:
            client, reply = self.woken.pop(0)
            if not client.closed:
                client.outbox += extensions.with_batch(self, client, now, reply)
                self._run(client, now)

    def take_output(self, name: Hashable) -> bytes:
        """The pending replies."""
        client = self.clients[name]
        output, client.outbox = client.outbox, b""
        return output

    def is_closed(self, name: Hashable) -> bool:
        """No further command is executed. The caller takes the replies and calls `disconnect`."""
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
                raise BadLine
            if line.startswith(b"put "):
                numbers = parser.put(line, self.max_job_size)
                self._count("put")
                return commands.put_line(self, client, now, *numbers)
            word, arguments = parser.words(line)
            self._count(word)
            reply: bytes | None = BY_WORD[word](self, client, now, *arguments)
            return reply
        except BadLine as bad:
            self._count(bad.counts)
            if bad.skips is None:
                return bad.reply
            client.upload = Upload(0, 0, 0, 0, bad.skips, now, refusal=bad.reply)
            return b""

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
        if upload.refusal:
            return upload.refusal
        if self.is_lost(client, now, upload, body):
            return commands.OUT_OF_MEMORY
        if upload.settings and "at" in upload.settings:
            at = upload.settings["at"]
            assert isinstance(at, int)
            upload.delay = min(max(at - now - self.clock_offset(), 0), parser.U32 * SECOND)
        return (
            commands.put_body(self, client, now, upload, body)
            if end == b"\r\n"
            else b"EXPECTED_CRLF\r\n"
        )

    def is_lost(self, client: Client, now: int, upload: Upload, body: bytes) -> bool:
        """Whether the server had no memory for this put."""
        return False

    # --- the end of the process, and its next run

    def restart(self, now: int, shift: int, recovered: Recovered) -> None:
        """The server was killed, started again with everything on disk, and ticked once.

        now: on the new clock. shift: how far the new clock is ahead of the old one (ns).
        """
        self.clients, self.waiting, self.woken, self.counts = {}, [], [], {}
        self.total_jobs = self.timeouts = self.expired = self.total_connections = 0
        self.started_at = now
        self.changes_left, self.draining = None, False
        assert self.highest_put < recovered.next_id <= self.next_id, (
            f"next id {recovered.next_id}, not {self.highest_put + 1} to {self.next_id}"
        )
        self.next_id = recovered.next_id
        assert recovered.counts.keys() == self.jobs.keys(), (
            f"jobs {sorted(recovered.counts)}, not {sorted(self.jobs)}"
        )
        for job in self.jobs.values():
            self._restart_job(job, shift, *recovered.counts[job.id])
        for tube in list(self.tubes):
            self._restart_tube(tube, shift)
        self.tick(now)
        self._order_tubes(recovered)

    def _restart_job(self, job: Job, shift: int, reserves: int, timeouts: int) -> None:
        if job.state == "reserved":
            self.move(job, "ready")
        job.created_at += shift
        job.deadline_at += shift if job.state == "delayed" else 0
        job.expires_at += shift if job.expires_at else 0
        assert job.saved_reserves <= reserves <= job.reserves, (
            f"job {job.id}: {reserves} reserves, not {job.saved_reserves} to {job.reserves}"
        )
        assert job.saved_timeouts <= timeouts <= job.timeouts, (
            f"job {job.id}: {timeouts} timeouts, not {job.saved_timeouts} to {job.timeouts}"
        )
        job.reserves, job.timeouts = reserves, timeouts
        job.save()

    def _restart_tube(self, tube: Tube, shift: int) -> None:
        tube.total_jobs = tube.deletes = tube.pauses = 0
        if tube.paused_until:
            tube.kept = True
            tube.paused_until += shift
        self.remove_if_unused(tube)

    def _order_tubes(self, recovered: Recovered) -> None:
        names = sorted(tube.name for tube in self.tubes)
        assert sorted(recovered.listed) == names, f"tubes {sorted(recovered.listed)}, not {names}"
        self.tubes.sort(key=lambda tube: recovered.listed.index(tube.name))
        for tube in self.tubes:
            tube.made = recovered.made.index(tube.name)
        self.tubes_made = len(self.tubes)
