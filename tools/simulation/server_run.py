"""One run of the server: the start and what it found, then whatever happens to it, one event after
another.

May know: everything here but the scenario. Promises: what it does is a function of the rng; an event
leaves server and model in step, or raises: Violation for what must not be, PowerFailure and LogFailed
for the run's end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from random import Random
from typing import NamedTuple

import beanstalkd_wal as wal

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.opening import open_binlog
from beanstalkd_py.options import SMALLEST_SEGMENT_BYTES
from beanstalkd_py.protocol.yaml import Process
from beanstalkd_py.queue.engine import Engine

from .client_commands import CommandGenerator
from .clock import MILLISECOND, SECOND, Clock
from .contents import Contents
from .disk import MemoryDisk
from .history import History
from .lockstep import Lockstep
from .machine import Machine
from .recording_model import RecordingModel
from .server import Connection, Server
from .violation import Violation

DIRECTORY = "/log"
MUCH = 100_000  # bytes that a client has to say


class Options(NamedTuple):
    """Of one start."""

    segment_bytes: int
    durability: wal.Durability
    sync_ms: int
    slow: bool  # the log has its threads
    max_job_size: int


class Opened(NamedTuple):
    """A server that has read its log and not served anybody yet."""

    engine: Engine
    binlog: Binlog
    contents: Contents
    news: list[bool]


def open_server(disk: MemoryDisk, clock: Clock, options: Options) -> Opened:
    """Raises as open_binlog does, and what ends the run in it."""
    now, wall_now = clock.now, clock.wall
    engine = Engine(options.max_job_size, Process(started_at=now))
    engine.binlog_max_size = options.segment_bytes
    news = [False]
    binlog = open_binlog(
        DIRECTORY,
        engine,
        segment_bytes=options.segment_bytes,
        durability=options.durability,
        now=now,
        wall_now=wall_now,
        notify=lambda: news.__setitem__(0, True),
        threaded=options.slow,
        fs=disk,
    )
    return Opened(engine, binlog, Contents(engine, wall_now - now), news)


class ServerRun:
    """history: begun anew with what the start found."""

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
        self.model.come_back(opened.contents, history.offsets[0])
        self.model.may_refuse = machine.is_limited
        self.lockstep = Lockstep(opened.engine, self.model)
        self.server = Server(self.lockstep, opened.binlog, self.clock, options.sync_ms, opened.news)
        self.unsaid: dict[Hashable, bytes] = {}  # what clients have to say and did not send yet
        self.names = 0
        self.at_once = self.rng.choice(((1,), (1, 1, 2, 5), (1, 5, 20)))  # commands
        self.server.tick_if_due()
        self._take_order(Contents(opened.engine, history.offsets[0]))

    def _take_order(self, contents: Contents) -> None:
        """Of tubes whose pauses were over by the start it is not said which goes first."""
        model = self.model
        if sorted(contents.listed) != sorted(tube.name for tube in model.tubes):
            raise Violation(f"tubes {contents.listed}, not {[tube.name for tube in model.tubes]}")
        model.tubes.sort(key=lambda tube: contents.listed.index(tube.name))

    # --- clients

    def connections(self) -> list[Connection]:
        return list(self.server.connections.values())

    def connect(self) -> str:
        self.names += 1
        self.server.connect(self.names)
        self.unsaid[self.names] = b""
        return f"{self.names} connects"

    def speak(self) -> str:
        """Some commands at once, behind what it did not send yet; cut anywhere, and the rest is
        sent later.
        """
        connections = [connection for connection in self.connections() if not connection.ended]
        if not connections:
            return ""
        connection = self.rng.choice(connections)
        name = connection.name
        if len(self.unsaid[name]) < MUCH:
            self.unsaid[name] += b"".join(
                self._command(name) for _ in range(self.rng.choice(self.at_once))
            )
        data = self.unsaid[name]
        cut = self.rng.choice(
            (0, 1, self.rng.randrange(min(50, len(data)) + 1), self.rng.randrange(len(data) + 1))
        )
        nbytes = len(data) if self.rng.random() < 0.7 else cut
        connection.arrived += data[:nbytes]
        self.unsaid[name] = data[nbytes:]
        return f"{name} sends {_short(data[:nbytes])}"

    def _command(self, name: Hashable) -> bytes:
        self.counts["commands"] += 1
        return self.generator.command(self.model, name)

    def serve(self) -> str:
        """Some of those that have something to read, or all of them."""
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
        """Some clients are slow to do so."""
        for connection in self.connections():
            self.server.client_reads(connection, self.rng.choice((0, 100, 1 << 20)))
        return "clients take replies"

    def hang_up(self) -> str:
        """It will send no more, or breaks at once."""
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

    # --- the loop

    def end_of_turn(self) -> str:
        self.server.end_of_turn()
        return "end of turn"

    def hear_the_log(self) -> str:
        if not self.server.news:
            return ""
        self.server.on_log()
        return f"log is at {self.server.log.promised_lsn}"

    def get_on(self) -> str:
        """The log's threads work a little."""
        steps = self.rng.choice((1, 1, 3, 10, 50))
        for _ in range(steps):
            busy = self.machine.scheduler.busy()
            if not busy:
                break
            self.rng.choice(busy).get_on()
        return f"{steps} calls up to {self.machine.last_call}"

    def all_get_on(self) -> str:
        while busy := self.machine.scheduler.busy():
            self.rng.choice(busy).get_on()
        return ""

    def come_to_rest(self) -> None:
        """Nothing is left to do, but for time to pass."""
        self.server.rest()
        while self.machine.scheduler.busy() or self.server.news:
            self.all_get_on()
            self.server.rest()

    def whole_turn(self) -> str:
        """As it goes most of the time."""
        events = (
            self.speak,
            self.serve,
            self.end_of_turn,
            self.all_get_on,
            self.hear_the_log,
            self.take_replies,
        )
        return "\n    ".join(said for said in [event() for event in events] if said)

    # --- time

    def moment(self) -> str:
        """Less than what something waits for."""
        until = self.clock.now + self.rng.choice((1, 1000, MILLISECOND, SECOND // 3))
        self.clock.now = max(
            self.clock.now,
            min(
                until,
                *(at for at in (self.server.next_at, self.model.next_at()) if at is not None),
            ),
        )
        return f"it is {_time(self.clock.now)}"

    def while_passes(self) -> str:
        self.pass_time(
            self.rng.choice((MILLISECOND, 60 * MILLISECOND, SECOND, 5 * SECOND, 200 * SECOND))
        )
        return f"it is {_time(self.clock.now)}"

    def pass_time(self, duration: int, smoothly: bool = False) -> None:
        """Timer by timer, each in time or a little late; or smoothly: all in time, and the threads
        keep up.
        """
        until = self.clock.now + duration
        self._turns(smoothly)
        while (at := self._next_at()) <= until:
            self.clock.now = max(self.clock.now, at if smoothly else at + self._lateness(at))
            self.server.on_timers()
            self._turns(smoothly)
        self.clock.now = max(self.clock.now, until)

    def _next_at(self) -> int:
        due = self.model.next_at()
        return self.server.next_at if due is None else min(due, self.server.next_at)

    def _lateness(self, at: int) -> int:
        """Where two things are late, their order is not said: so it is never more than one."""
        if self.rng.random() < 0.7:
            return 0
        dues = sorted(self.model.dues())
        most = dues[1] - 1 if len(dues) > 1 else at + SECOND
        return self.rng.randrange(max(most - at, 0) + 1)

    def _turns(self, smoothly: bool) -> None:
        """Before the loop sleeps, all turns are done; threads need not be."""
        if smoothly:
            self.come_to_rest()
        elif self.rng.random() < 0.8:
            self.all_get_on()
        self.server.rest()
        self._check_window()

    def _check_window(self) -> None:
        """Nothing that left stays unsynced for longer than MS."""
        left_at = self.server.oldest_not_durable()
        if not self.options.sync_ms or self.options.slow or left_at is None:
            return
        age = self.clock.now - left_at
        if age > (self.options.sync_ms + 1) * MILLISECOND + SECOND:
            raise Violation(f"a reply that left {age / SECOND} s ago is not durable yet")

    def set_the_wall_clock(self) -> str:
        self.clock.ahead += self.rng.choice((-100_000, -50, -1, 1, 50, 100_000)) * SECOND
        return f"the wall's clock is {_time(self.clock.wall)}"

    # --- room

    def fill_the_disk(self) -> str:
        if (
            self.options.segment_bytes < SMALLEST_SEGMENT_BYTES
        ):  # there, what headers take is more than what compaction looks for
            return ""
        self.machine.limit(self.rng.choice((0, self.rng.randrange(3 * self.options.segment_bytes))))
        self.model.may_refuse = True
        self.counts["fills"] += 1
        return f"the disk has {self.machine.disk.capacity} bytes"

    def free_the_disk(self) -> str:
        """A second later puts are taken again."""
        if not self.model.may_refuse:
            return ""
        self.machine.free()
        for _ in range(3):
            self.pass_time(SECOND, smoothly=True)
        self.model.may_refuse = False
        return "the disk has room again"

    # --- the end

    def durable(self) -> int:
        """The position that no power cut can undo, going by the replies that left."""
        self.server.oldest_not_durable()
        return (
            self.server.answered
            if self.options.durability is wal.Durability.SYNC
            else self.server.durable
        )

    def stop(self) -> str:
        self.server.stop(self.all_get_on)
        return "stops"


Event = Callable[[ServerRun], str]


def _short(data: bytes) -> str:
    return repr(data if len(data) <= 100 else data[:60] + b"... %d bytes" % len(data))


def _time(instant: int) -> str:
    return f"{instant / SECOND:.9f}"
