"""Runs the queue with its sessions beside the reference model, and compares them after each step.

Compared are every reply, byte for byte, which connections are closed, and the state of both
(`snapshot`). With the binlog, `restart` replays it, and the model says what must come back. Time is
an argument of the steps.
"""

from __future__ import annotations

from collections.abc import Hashable

import beanstalkd_wal as wal
from simulation.disk import MemoryDisk
from simulation.reference.model import Recovered, ReferenceModel, without_unknowns
from testkit.memory import allocate_except_probes

from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import ProcessSnapshot

from .limited_journal import LimitedJournal
from .snapshot import Difference, compare, same

SECOND = 1_000_000_000
START = 1000 * SECOND
WALL = 1_700_000_000 * SECOND  # wall clock minus the first run's monotonic clock
SEGMENT_BYTES = 4096
MAX_JOB_SIZE = 600  # a few jobs fill a segment, so there is something to compact
NEVER = 2**33 * SECOND


class Pair:
    """`kind` "memory": no journal. "limited": a journal that accepts as many changes as
    `limit_changes` allows. "binlog": the real binlog, on a disk in memory.
    """

    def __init__(self, kind: str = "memory") -> None:
        self.kind = kind
        self.now = START
        self.wall = WALL + START
        self.disk = MemoryDisk() if kind == "binlog" else None
        self.model = ReferenceModel(self.now, MAX_JOB_SIZE)
        self.model.clock_offset = lambda: self.wall - self.now
        self.sessions: dict[Hashable, Session] = {}
        self.replies: dict[Hashable, bytes] = {}  # to each client in this step
        self.script: list[str] = []  # all steps, as Python
        self.step_finished = True  # the latest step did not raise
        self.limited = LimitedJournal() if kind == "limited" else None
        self.begin()

    def begin(self) -> None:
        """Starts the server."""
        self.queue = Queue()
        self.queue.memory.allocate = allocate_except_probes
        process = ProcessSnapshot(started_at=self.now)
        self.dispatcher = Dispatcher(self.queue, max_job_size=MAX_JOB_SIZE, process=lambda: process)
        self.dispatcher.clock_offset = lambda: self.wall - self.now
        self.binlog = None
        if self.limited is not None:
            self.queue.journal = self.limited
        if self.disk is not None:
            self.binlog = open_binlog(
                "/log",
                self.queue,
                segment_bytes=SEGMENT_BYTES,
                durability=wal.Durability.SYNC,
                now=self.now,
                wall_now=self.wall,
                notify=lambda: None,
                report=messages_only(_unexpected),
                threaded=False,
                fs=self.disk,
            )
            self.dispatcher.log = self.binlog.snapshot

    # --- clients

    def connect(self, name: Hashable) -> None:
        self._begin_step(f"connect({name!r})")
        self.sessions[name] = Session(self.dispatcher)
        self.model.connect(name)
        self.step_finished = True

    def send(self, name: Hashable, data: bytes) -> bytes:
        """Returns the replies that the client gets in this step."""
        self._begin_step(f"send({name!r}, {data!r})")
        self.sessions[name].receive(data, self.now)
        self.model.receive(name, data, self.now)
        self.agree()
        return self.replies.get(name, b"")

    def half_close(self, name: Hashable) -> None:
        """The server learns that the client will send no more, and has not read all its bytes."""
        self._begin_step(f"half_close({name!r})")
        self.sessions[name].hang_up(self.now)
        self.model.half_close(name, self.now)
        self.agree()

    def end(self, name: Hashable) -> None:
        """End of input."""
        self._begin_step(f"end({name!r})")
        self.sessions[name].end_of_input(self.now)
        self.model.half_close(name, self.now, ended=True)
        self.agree()

    def lose(self, name: Hashable) -> None:
        self._begin_step(f"lose({name!r})")
        self._lose(name)
        self.agree()

    def _lose(self, name: Hashable) -> None:
        self.sessions.pop(name).lost(self.now)
        self.model.disconnect(name, self.now)

    # --- time

    def advance(self, ns: int) -> None:
        """Time passes; each timer on the way runs on time."""
        self._begin_step(f"advance({ns})")
        until = self.now + ns
        while (at := min(self.queue.next_at, self.model.next_at() or NEVER)) <= until:
            self.tick(max(self.now, at))
        self.tick(until)

    def jump(self, ns: int) -> None:
        """The server was busy for so long, so a timer runs late. If several timers are due, they
        run on time, because the protocol leaves the order of late ones open.
        """
        self._begin_step(f"jump({ns})")
        if sum(at <= self.now + ns for at in self.model.dues()) > 1:
            self.advance(ns)
        else:
            self.tick(self.now + ns)

    def tick(self, now: int) -> None:
        self.wall += now - self.now
        self.now = now
        self.queue.tick(now)
        self.model.tick(now)
        self.agree()

    # --- the server

    def drain(self) -> None:
        self._begin_step("drain()")
        self.step_finished = True
        self.queue.draining = self.model.draining = True

    def limit_changes(self, changes: int | None) -> None:
        """From now on the journal accepts so many changes (None: any number)."""
        assert self.limited is not None
        self._begin_step(f"limit_changes({changes})")
        self.step_finished = True
        self.limited.changes_left = self.model.changes_left = changes

    def restart(self, away: int, clean: bool) -> None:
        """The server is stopped or killed, and starts again so many ns later. The monotonic clock
        begins again.
        """
        assert self.disk is not None and self.binlog is not None
        self._begin_step(f"restart({away}, {clean})")
        if clean:
            self.binlog.close(self.wall)
        self.disk = self.disk.after_kill()
        self.sessions.clear()
        self.wall += away
        shift = START - (self.now + away)
        self.now = START
        self.begin()
        counts = {job.id: (job.reserves, job.timeouts) for job in self.queue.jobs.values()}
        self.queue.tick(self.now)
        self.model.restart(self.now, shift, self.recovered(counts))
        self.agree()

    def recovered(self, counts: dict[int, tuple[int, int]]) -> Recovered:
        tubes = self.queue.tube_list
        return Recovered(
            next_id=self.queue.next_id,
            listed=[tube.name for tube in tubes],
            made=[tube.name for tube in sorted(tubes, key=lambda tube: tube.order)],
            counts=counts,
        )

    # --- comparing

    def agree(self) -> None:
        """Raises Difference."""
        self.settle()
        while closed := [name for name, session in self.sessions.items() if session.closed]:
            self._lose(closed[0])
            self.settle()
        if self.binlog is not None:
            self.binlog.end_iteration(self.now, self.wall)
        compare(self.queue, self.sessions, self.model)
        self.step_finished = True

    def settle(self) -> None:
        """Takes and compares the replies of every client."""
        Session.settle(self.dispatcher, self.now)
        self.model.settle(self.now)
        for name, session in self.sessions.items():
            got, expected = without_unknowns(session.take_output()), self.model.take_output(name)
            same(f"client {name} is answered", got, expected)
            same(f"client {name} is closed", session.closed, self.model.is_closed(name))
            self.replies[name] = self.replies.get(name, b"") + got

    def _begin_step(self, step: str) -> None:
        """Records the beginning of a step."""
        self.step_finished = False
        self.script.append(step)
        self.replies.clear()

    def finish(self) -> None:
        """All clients disconnect; then a new client reserves and deletes every remaining job."""
        while self.sessions:
            self.lose(next(iter(self.sessions)))
        if self.limited is not None:
            self.limit_changes(None)
        self.connect("last")
        for tube in [tube.name for tube in self.model.tubes]:
            self.send("last", b"use %b\r\nwatch %b\r\npause-tube %b 0\r\n" % (tube, tube, tube))
            self.send(
                "last", b"peek-ready\r\npeek-delayed\r\npeek-buried\r\nkick 99\r\nkick 99\r\n"
            )
        while (answer := self.send("last", b"reserve-with-timeout 0\r\n")).startswith(b"RESERVED "):
            self.send(
                "last", b"stats-job %b\r\ndelete %b\r\n" % (answer.split()[1], answer.split()[1])
            )
        same("jobs left", [*self.queue.jobs], [])
        memory = self.queue.memory
        same("bytes of jobs and of bodies left", (memory.used, memory.receiving), (0, 0))
        self.lose("last")


def _unexpected(line: str) -> None:
    raise Difference(f"the binlog says: {line}")
