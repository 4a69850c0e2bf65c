"""One run of the server: it starts, reports what it recovered, and then handles one event after
another until it stops or a file-system call ends it.

May know: everything here except the scenario. Promises: the run is a function of the random
generator. After an event the server and the reference model agree, or the event raises: Violation
if a check failed, PowerFailure or LogFailed if the run ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from random import Random
from typing import NamedTuple

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.config.options import SMALLEST_SEGMENT_BYTES
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import ProcessSnapshot

from .client_commands import CommandGenerator
from .clock import MILLISECOND, SECOND, WALL_TIMES, Clock
from .contents import Contents
from .disk import MemoryDisk
from .history import History
from .lockstep import Lockstep
from .machine import Machine
from .recording_model import RecordingModel
from .server import Connection, Server
from .violation import Violation
from .watched_journal import WatchedJournal

DIRECTORY = "/log"
# How late the loop is at most, in ns. An expiry may be 200 years away, and no kernel's wall clock
# goes beyond 2262.
MAX_LATE = 1_000_000 * SECOND
MAX_UNSENT_BYTES = 100_000  # a client with more to send gets no new commands


class Options(NamedTuple):
    """Of one start."""

    segment_bytes: int
    durability: wal.Durability
    sync_ms: int
    threaded: bool  # the log has its two threads, as simulated threads
    max_job_size: int


class Opened(NamedTuple):
    """A server that has replayed its log and has not served a client yet."""

    dispatcher: Dispatcher
    binlog: Binlog
    contents: Contents
    log_event: list[bool]


def open_server(disk: MemoryDisk, clock: Clock, options: Options) -> Opened:
    """Raises what open_binlog raises, and what the machine raises to end a run."""
    now, wall_now = clock.now, clock.wall
    queue = Queue()
    log_event = [False]
    binlog = open_binlog(
        DIRECTORY,
        queue,
        segment_bytes=options.segment_bytes,
        durability=options.durability,
        now=now,
        wall_now=wall_now,
        notify=lambda: log_event.__setitem__(0, True),
        threaded=options.threaded,
        fs=disk,
    )
    process = ProcessSnapshot(started_at=now)
    dispatcher = Dispatcher(
        queue,
        max_job_size=options.max_job_size,
        binlog_max_size=options.segment_bytes,
        process=lambda: process,
        log=binlog.snapshot,
    )
    dispatcher.clock_offset = lambda: clock.wall - clock.now
    return Opened(dispatcher, binlog, Contents(queue, wall_now - now, now), log_event)


class ServerRun:
    """history: already restarted from what this start recovered."""

    def __init__(
        self,
        machine: Machine,
        options: Options,
        opened: Opened,
        history: History,
        generator: CommandGenerator,
        counts: Counter[str],
    ) -> None:
        self.machine = machine
        self.rng: Random = machine.rng
        self.clock = machine.clock
        self.options = options
        self.history = history
        self.generator = generator
        self.counts = counts
        self.model = RecordingModel(
            self.clock.now, options.max_job_size, options.segment_bytes, history
        )
        self.model.load(opened.contents, history.offsets[0])
        history.ahead = opened.binlog.ids.ahead
        self.model.may_refuse = machine.is_limited
        queue = opened.dispatcher.queue
        self.model.clock_offset = opened.dispatcher.clock_offset
        self.model.server_job = queue.jobs.get
        if isinstance(queue.journal, Binlog):
            watched = WatchedJournal(queue.journal)
            queue.journal = watched
            self.model.refused_move = watched.refused_move
            self.model.refused_reserve = watched.refused_reserve
            self.model.refused_expiry = watched.refused_expiry
            self.model.refused_put = watched.refused_put
            self.model.refused_run = watched.refused_run
        self.lockstep = Lockstep(opened.dispatcher, self.model, machine.memory)
        self.server = Server(
            self.lockstep, opened.binlog, self.clock, options.sync_ms, opened.log_event
        )
        self.unsent: dict[Hashable, bytes] = {}  # per client: generated, not sent yet
        self.clients_made = 0
        self.batch_sizes = self.rng.choice(((1,), (1, 1, 2, 5), (1, 5, 20)))  # commands
        self.server.tick_if_due()
        self._adopt_tube_order(
            Contents(opened.dispatcher.queue, history.offsets[0], self.clock.now)
        )

    def _adopt_tube_order(self, contents: Contents) -> None:
        """The first tick ends the pauses that are over, in an order that the protocol leaves open.
        The model takes the order of the server.
        """
        model = self.model
        if sorted(contents.listed) != sorted(tube.name for tube in model.tubes):
            raise Violation(f"tubes {contents.listed}, not {[tube.name for tube in model.tubes]}")
        model.tubes.sort(key=lambda tube: contents.listed.index(tube.name))

    # --- clients

    def connections(self) -> list[Connection]:
        return list(self.server.connections.values())

    def connect(self) -> str:
        self.clients_made += 1
        self.server.connect(self.clients_made)
        self.unsent[self.clients_made] = b""
        return f"{self.clients_made} connects"

    def send_commands(self) -> str:
        """A client sends some commands at once, after what it has not sent yet. The bytes may be
        cut anywhere; the rest is sent later.
        """
        connections = [connection for connection in self.connections() if not connection.ended]
        if not connections:
            return ""
        connection = self.rng.choice(connections)
        name = connection.name
        if len(self.unsent[name]) < MAX_UNSENT_BYTES:
            self.unsent[name] += b"".join(
                self._command(name) for _ in range(self.rng.choice(self.batch_sizes))
            )
        data = self.unsent[name]
        cut = self.rng.choice(
            (0, 1, self.rng.randrange(min(50, len(data)) + 1), self.rng.randrange(len(data) + 1))
        )
        nbytes = len(data) if self.rng.random() < 0.7 else cut
        connection.arrived += data[:nbytes]
        self.unsent[name] = data[nbytes:]
        return f"{name} sends {_short(data[:nbytes])}"

    def _command(self, name: Hashable) -> bytes:
        self.counts["commands"] += 1
        return self.generator.command(self.model, name)

    def read_clients(self) -> str:
        """The server reads some of the readable connections, or all of them."""
        readable = [
            connection for connection in self.connections() if self.server.readable(connection)
        ]
        self.rng.shuffle(readable)
        said = []
        for connection in readable[: self.rng.choice((1, 8))]:
            nbytes = self.rng.choice((1, 100, 1 << 16, 1 << 16, 1 << 16, 1 << 16))
            said.append(f"{connection.name} is read: {_short(connection.arrived[:nbytes])}")
            if self.server.readable(connection):
                self.server.read(connection, nbytes)
        return "\n    ".join(said)

    def take_replies(self) -> str:
        """Each client reads none, some or all of its replies."""
        for connection in self.connections():
            self.server.client_reads(connection, self.rng.choice((0, 100, 1 << 20)))
        return "clients take replies"

    def end_connection(self) -> str:
        """A client sends no more, or its connection breaks at once."""
        connection = self.rng.choice(self.connections())
        if self.rng.random() < 0.5:
            connection.ended = True
            return f"{connection.name} sends no more"
        self.server.tick_if_due()
        if connection.name in self.server.connections:
            self.server.lose(connection)
        return f"{connection.name} breaks"

    def drain(self) -> str:
        self.lockstep.drain()
        return "drain mode"

    # --- the loop and the log's threads

    def end_iteration(self) -> str:
        self.server.end_of_batch()
        return "end of an iteration"

    def handle_log_event(self) -> str:
        if not self.server.has_log_event:
            return ""
        self.server.on_log()
        return f"log is at {self.server.log.promised_lsn}"

    def run_log_threads(self) -> str:
        """The log's threads make a few file-system calls."""
        steps = self.rng.choice((1, 1, 3, 10, 50))
        for _ in range(steps):
            runnable = self.machine.scheduler.runnable()
            if not runnable:
                break
            self.rng.choice(runnable).step()
        return f"{steps} calls up to {self.machine.last_call}"

    def finish_log_threads(self) -> str:
        """The log's threads run until all of them wait."""
        while runnable := self.machine.scheduler.runnable():
            self.rng.choice(runnable).step()
        return ""

    def settle(self) -> None:
        """Runs the loop and the threads until nothing is left to do at this instant."""
        self.server.rest()
        while self.machine.scheduler.runnable() or self.server.has_log_event:
            self.finish_log_threads()
            self.server.rest()

    def whole_iteration(self) -> str:
        """The usual order of events in one iteration of the loop."""
        events = (
            self.send_commands,
            self.read_clients,
            self.end_iteration,
            self.finish_log_threads,
            self.handle_log_event,
            self.take_replies,
        )
        return "\n    ".join(said for said in [event() for event in events] if said)

    # --- time

    def pass_short_time(self) -> str:
        """Time passes, but no timer becomes due."""
        until = self.clock.now + self.rng.choice((1, 1000, MILLISECOND, SECOND // 3))
        self.clock.now = max(
            self.clock.now,
            min(
                until,
                *(at for at in (self.server.next_at, self.model.next_at()) if at is not None),
            ),
        )
        return f"it is {_time(self.clock.now)}"

    def pass_some_time(self) -> str:
        self.pass_time(
            self.rng.choice((MILLISECOND, 60 * MILLISECOND, SECOND, 5 * SECOND, 200 * SECOND))
        )
        return f"it is {_time(self.clock.now)}"

    def pass_time(self, duration: int, smoothly: bool = False) -> None:
        """Runs each timer on the way, on time or a little late. smoothly: all timers are on time
        and the log's threads keep up.
        """
        until = self.clock.now + duration
        self._run_iterations(smoothly)
        while (at := self._next_at()) <= until:
            self.clock.now = max(self.clock.now, at if smoothly else at + self._lateness(at))
            self.server.on_timers()
            self._run_iterations(smoothly)
        self.clock.now = max(self.clock.now, until)

    def _next_at(self) -> int:
        due = self.model.next_at()
        return self.server.next_at if due is None else min(due, self.server.next_at)

    def _lateness(self, at: int) -> int:
        """At most one thing is late at a time: the protocol leaves the order of two late ones
        open, and the model could not follow.
        """
        if self.rng.random() < 0.7:
            return 0
        dues = sorted(self.model.dues())
        most = min(dues[1] - 1, at + MAX_LATE) if len(dues) > 1 else at + SECOND
        return self.rng.randrange(max(most - at, 0) + 1)

    def _run_iterations(self, smoothly: bool) -> None:
        """The loop runs until it would sleep; the log's threads may not have finished."""
        if smoothly:
            self.settle()
        elif self.rng.random() < 0.8:
            self.finish_log_threads()
        self.server.rest()
        self._check_window()

    def _check_window(self) -> None:
        """With -f MS, what a sent reply stands for is synced within the window."""
        left_at = self.server.oldest_not_durable()
        if not self.options.sync_ms or self.options.threaded or left_at is None:
            return
        age = self.clock.now - left_at
        if age > (self.options.sync_ms + 1) * MILLISECOND + SECOND:
            raise Violation(f"a reply that left {age / SECOND} s ago is not durable yet")

    def set_wall_clock(self) -> str:
        if self.rng.random() < 0.8:
            self.clock.ahead += self.rng.choice((-100_000, -50, -1, 1, 50, 100_000)) * SECOND
        else:
            self.clock.set_wall(self.rng.choice(WALL_TIMES))
        return f"the wall clock is {_time(self.clock.wall)}"

    def suspend(self) -> str:
        """The machine is suspended: boot time goes on, and no timer runs. At most one thing is due
        then, as in `_lateness`.
        """
        dues = sorted(self.model.dues())
        most = min(dues[1] - self.clock.now if len(dues) > 1 else MAX_LATE, MAX_LATE)
        self.clock.now += self.rng.randrange(max(most, 1))
        self.server.on_timers()
        self._run_iterations(False)
        return f"suspended until {_time(self.clock.now)}"

    # --- the full disk

    def fill_disk(self) -> str:
        # In smaller segments the headers take more space than the compactor accounts for.
        if self.options.segment_bytes < SMALLEST_SEGMENT_BYTES:
            return ""
        nbytes = self.rng.choice((0, self.rng.randrange(3 * self.options.segment_bytes)))
        limited = self.machine.limit(nbytes, self.options.segment_bytes)
        self.model.may_refuse = True
        self.counts["fills"] += 1
        return limited

    def free_disk(self) -> str:
        """Three seconds later no put may be refused any more."""
        if not self.model.may_refuse:
            return ""
        self.machine.free()
        for _ in range(3):
            self.pass_time(SECOND, smoothly=True)
        self.model.may_refuse = False
        return "the disk has free space again"

    # --- the end

    def durable_position(self) -> int:
        """The position in the history that no power cut can undo, given the replies sent."""
        self.server.oldest_not_durable()
        return (
            self.server.answered
            if self.options.durability is wal.Durability.SYNC
            else self.server.durable
        )

    def stop(self) -> str:
        self.server.stop(self.finish_log_threads)
        return "stops"


def _short(data: bytes) -> str:
    return repr(data if len(data) <= 100 else data[:60] + b"... %d bytes" % len(data))


def _time(instant: int) -> str:
    return f"{instant / SECOND:.9f}"
