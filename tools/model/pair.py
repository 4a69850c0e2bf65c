"""The queue with its sessions, and the model server beside it: what is done to one is done to the
other, and must come to the same.

Compared after each step: every reply, byte for byte, which connections are closed, and what both
know (`snapshot`). With a disk, there is a binlog on it, and `restart` replays it: what comes back
must be what the model server says comes back. Time is a number here.
"""

from __future__ import annotations

from collections.abc import Hashable

import beanstalkd_wal as wal
from simulation.disk import MemoryDisk
from simulation.reference.model import Found, ReferenceModel, without_unknowns

from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import ProcessSnapshot

from .rationed import Rationed
from .snapshot import Difference, compare, same

SECOND = 1_000_000_000
START = 1000 * SECOND
WALL = 1_700_000_000 * SECOND  # wall clock minus the first life's monotonic clock
SEGMENT_BYTES = 4096
MAX_JOB_SIZE = 600  # so a few jobs fill a segment, and compaction has work
FOR_EVER = 2**33 * SECOND


class Pair:
    """`kind`: "memory"; "rationed": a journal that is full when `ration` says so; "binlog": the
    real one, on a disk in memory.
    """

    def __init__(self, kind: str = "memory") -> None:
        self.kind = kind
        self.now = START
        self.wall = WALL + START
        self.disk = MemoryDisk() if kind == "binlog" else None
        self.model = ReferenceModel(self.now, MAX_JOB_SIZE)
        self.sessions: dict[Hashable, Session] = {}
        self.heard: dict[Hashable, bytes] = {}  # what each client was answered in this step
        self.script: list[str] = []  # all steps
        self.sound = True  # the last one came to a good end
        self.rationed = Rationed() if kind == "rationed" else None
        self.begin()

    def begin(self) -> None:
        """The queue's life begins."""
        self.queue = Queue()
        process = ProcessSnapshot(started_at=self.now)
        self.dispatcher = Dispatcher(self.queue, max_job_size=MAX_JOB_SIZE, process=lambda: process)
        self.binlog = None
        if self.rationed is not None:
            self.queue.journal = self.rationed
        if self.disk is not None:
            self.binlog = open_binlog(
                "/log",
                self.queue,
                segment_bytes=SEGMENT_BYTES,
                durability=wal.Durability.NEVER,
                now=self.now,
                wall_now=self.wall,
                notify=lambda: None,
                report=_unexpected,
                threaded=False,
                fs=self.disk,
            )
            self.dispatcher.log = self.binlog.snapshot

    # --- clients

    def connect(self, name: Hashable) -> None:
        self.noted(f"connect({name!r})")
        self.sessions[name] = Session(self.dispatcher)
        self.model.connect(name)
        self.sound = True

    def send(self, name: Hashable, data: bytes) -> bytes:
        """Returns what the client is answered."""
        self.noted(f"send({name!r}, {data!r})")
        self.sessions[name].receive(data, self.now)
        self.model.receive(name, data, self.now)
        self.agree()
        return self.heard.get(name, b"")

    def half_close(self, name: Hashable) -> None:
        """The server learns that the client will send no more, and has not read all as yet."""
        self.noted(f"half_close({name!r})")
        self.sessions[name].hang_up(self.now)
        self.model.half_close(name, self.now)
        self.agree()

    def end(self, name: Hashable) -> None:
        """End of input."""
        self.noted(f"end({name!r})")
        self.sessions[name].end_of_input(self.now)
        self.model.half_close(name, self.now, ended=True)
        self.agree()

    def lose(self, name: Hashable) -> None:
        self.noted(f"lose({name!r})")
        self._lose(name)
        self.agree()

    def _lose(self, name: Hashable) -> None:
        self.sessions.pop(name).lost(self.now)
        self.model.disconnect(name, self.now)

    # --- time

    def advance(self, ns: int) -> None:
        """Whatever is due on the way is done in time."""
        self.noted(f"advance({ns})")
        until = self.now + ns
        while (at := min(self.queue.next_at, self.model.next_at() or FOR_EVER)) <= until:
            self.tick(max(self.now, at))
        self.tick(until)

    def jump(self, ns: int) -> None:
        """The server was busy for so long: what was due is done late. (More than one thing is done
        in time: the order is nobody's promise.)
        """
        self.noted(f"jump({ns})")
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
        self.noted("drain()")
        self.sound = True
        self.queue.draining = self.model.draining = True

    def ration(self, room: int | None) -> None:
        """How many changes there is room for from now on (None: any number)."""
        assert self.rationed is not None
        self.noted(f"ration({room})")
        self.sound = True
        self.rationed.room = self.model.room = room

    def restart(self, away: int, clean: bool) -> None:
        """Stopped (or killed), and started again so many ns later. The monotonic clock began anew."""
        assert self.disk is not None and self.binlog is not None
        self.noted(f"restart({away}, {clean})")
        if clean:
            self.binlog.log.close(self.wall)
        self.disk = self.disk.after_kill()
        self.sessions.clear()
        self.wall += away
        shift = START - (self.now + away)
        self.now = START
        self.begin()
        self.queue.tick(self.now)
        self.model.restart(self.now, shift, self.found())
        self.agree()

    def found(self) -> Found:
        tubes = self.queue.tube_list
        return Found(
            next_id=self.queue.next_id,
            listed=[tube.name for tube in tubes],
            made=[tube.name for tube in sorted(tubes, key=lambda tube: tube.order)],
            counts={job.id: (job.reserves, job.timeouts) for job in self.queue.jobs.values()},
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
        self.sound = True

    def settle(self) -> None:
        """Everybody has the replies that are due, and they are right."""
        Session.settle(self.dispatcher, self.now)
        self.model.settle(self.now)
        for name, session in self.sessions.items():
            got, expected = without_unknowns(session.take_output()), self.model.take_output(name)
            same(f"client {name} is answered", got, expected)
            same(f"client {name} is closed", session.closed, self.model.is_closed(name))
            self.heard[name] = self.heard.get(name, b"") + got

    def noted(self, step: str) -> None:
        """A step begins."""
        self.sound = False
        self.script.append(step)
        self.heard.clear()

    def finish(self) -> None:
        """Everybody leaves; then somebody takes all that is left, one after the other."""
        while self.sessions:
            self.lose(next(iter(self.sessions)))
        if self.rationed is not None:
            self.ration(None)
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
        self.lose("last")


def _unexpected(line: str) -> None:
    raise Difference(f"the binlog says: {line}")
