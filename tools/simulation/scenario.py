"""A scenario: one machine, one log directory and several runs of the server on it, all from one
seed.

However a run ended, the next start must recover every change that a reply promised, and no change
that was never made (see `history`).

May know: everything here. Promises: `run` is a function of its seed. A Violation shows the last
events of the scenario and the command that repeats it.
"""

from __future__ import annotations

import traceback
from collections import Counter, deque
from collections.abc import Callable
from random import Random

import beanstalkd_wal as wal

from beanstalkd_py.binlog.ids import ids_per_segment
from beanstalkd_py.binlog.opening import Unreadable

from . import checks
from .client_commands import CommandGenerator
from .disk import PowerFailure
from .history import History
from .machine import BROKEN, CUT, KILL, Machine
from .memory import Memory, failing
from .scale import scaled
from .schedules import SimulatedSchedules, schedules_of
from .seeds import AGAIN, CpuTimeExceeded, cpu_limit
from .server_run import Opened, Options, ServerRun, open_server
from .threads import simulated_threads
from .violation import Violation

SYNC, WINDOW, NEVER = wal.Durability.SYNC, wal.Durability.WINDOW, wal.Durability.NEVER
LAST_EVENTS = 60
LAST_FRAMES = 4
SCENARIO_CPU_S = 60.0  # most take 0.05 s
STOP, NO_SPACE = "stop", "no space to start"

# The weight of each event. A scenario multiplies the weights by factors of its own, some of them 0.
EVENTS: list[tuple[Callable[[ServerRun], str], float]] = [
    (ServerRun.whole_iteration, 12),
    (ServerRun.send_commands, 8),
    (ServerRun.read_clients, 10),
    (ServerRun.end_iteration, 8),
    (ServerRun.handle_log_event, 8),
    (ServerRun.run_log_threads, 8),
    (ServerRun.take_replies, 4),
    (ServerRun.connect, 1),
    (ServerRun.end_connection, 0.4),
    (ServerRun.pass_short_time, 4),
    (ServerRun.pass_some_time, 2),
    (ServerRun.set_wall_clock, 0.2),
    (ServerRun.suspend, 0.2),
    (ServerRun.fill_disk, 0.2),
    (ServerRun.free_disk, 0.5),
    (ServerRun.drain, 0.03),
    (checks.observe, 0.5),
    (checks.kill_now, 0.5),
    (checks.cut_now, 0.5),
    (checks.rest, 0.3),
]
ALWAYS = (
    ServerRun.whole_iteration,
    ServerRun.send_commands,
    ServerRun.read_clients,
    ServerRun.end_iteration,
    ServerRun.handle_log_event,
    ServerRun.run_log_threads,
    ServerRun.take_replies,
    ServerRun.connect,
)


def run(seed: int) -> Counter[str]:
    """Runs a whole scenario and returns its counts. Raises Violation."""
    scenario = Scenario(seed)
    try:
        with (
            cpu_limit(SCENARIO_CPU_S),
            scaled(seed),
            failing(scenario.machine.memory),
            simulated_threads(scenario.machine.scheduler),
        ):
            scenario.run()
    except (Exception, Violation, CpuTimeExceeded) as error:
        events = "\n".join(f"    {event}" for event in scenario.trace)
        where = "".join(traceback.format_tb(error.__traceback__)[-LAST_FRAMES:])
        raise Violation(
            f"{events}\n{where}{type(error).__name__}: {error}\n{AGAIN}make simulate SEED={seed}"
        ) from error
    scenario.counts["failed allocations"] += scenario.machine.memory.failed
    return scenario.counts


class Scenario:
    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.machine = Machine(self.rng, Memory(seed))
        self.machine.lacks = Random(f"disk {seed}")
        self.machine.disk.syncs_directories = self.machine.lacks.randrange(8) > 0
        self.history = History()
        self.counts: Counter[str] = Counter(scenarios=1)
        self.trace: deque[str] = deque(maxlen=LAST_EVENTS)
        self.sizes = self.rng.choice(
            ((8192,), (8192, 8192, 16384, 65536), (65536,), (65536, 131072))
        )
        self.max_job_size = self.rng.choice((1000, 3000, 65535))
        largest = min(self.max_job_size, self.rng.choice((100, 1000, max(self.sizes) // 4)))
        self.generator = CommandGenerator(self.rng, self.max_job_size, largest)
        self.events = [event for event, _ in EVENTS]
        self.weights = [
            weight * self.rng.choice((0.3, 1, 1, 3) if event in ALWAYS else (0, 0, 1, 1, 3))
            for event, weight in EVENTS
        ]
        self.schedules_rng = None if self.machine.memory.short else schedules_of(seed)
        self.schedules: SimulatedSchedules | None = None  # of the current run
        self.most_clients = self.rng.choice((2, 4, 8))
        # What the latest run promised: the positions in the history up to which nothing may be
        # missing after a kill, and after a power cut.
        self.answered = self.durable = 0
        self.told = 0  # the position of the latest reply that was sent
        self.ended_at = 0  # the end of the latest run, on the clock of that run

    def run(self) -> None:
        for _ in range(self.rng.randrange(2, 6)):
            self.run_server()
        self.machine.free()
        self.machine.end_in = 0
        self._start(self._options())

    def log(self, event: str) -> None:
        if event:
            self.trace.append(event)

    # --- one server run

    def _options(self) -> Options:
        durability = self.rng.choice((SYNC, SYNC, SYNC, WINDOW, NEVER))
        sync_ms = self.rng.choice((5, 50, 1000)) if durability is WINDOW else 0
        return Options(
            self.rng.choice(self.sizes),
            durability,
            sync_ms,
            self.rng.random() < 0.5,
            self.max_job_size,
        )

    def run_server(self) -> None:
        options = self._options()
        self.machine.plan_end()
        run: ServerRun | None = None
        try:
            run = self._start(options)
            self._begin_schedules(run)
            for _ in range(self.rng.choice((5, 100, 400, 800))):
                self._event(run)
            end = self._choose_end(run)
        except PowerFailure:
            end = self.machine.planned_end
            self.log(f"{end} in {self.machine.last_call}")
        except (wal.LogFailed, wal.LogFull, OSError) as error:
            end = self._failed(error, options if run is None else None)
        if run is not None:
            self._note_promises(run)
        self._end(end)

    def _begin_schedules(self, run: ServerRun) -> None:
        self.schedules = None
        if self.schedules_rng is not None:
            self.schedules = SimulatedSchedules(self.schedules_rng, run.server, self.counts)
            self.log(self.schedules.set())

    def _note_promises(self, run: ServerRun) -> None:
        self.answered = self.told = run.server.answered
        self.durable = run.durable_position()
        self.ended_at = self.machine.clock.now

    def _event(self, run: ServerRun) -> None:
        if self.schedules is not None:
            self.log(self.schedules.look())
        if not run.server.connections:
            self.log(run.connect())
        (event,) = self.rng.choices(self.events, self.weights)
        if event is ServerRun.connect and len(run.server.connections) >= self.most_clients:
            return
        self.log(f"... {event.__name__}")
        outcome = event(run)
        self.trace.pop()
        self.log(outcome)

    def _choose_end(self, run: ServerRun) -> str:
        end = self.rng.choice((KILL, CUT, STOP, STOP))
        if end == STOP:
            self.log(run.stop())
            checks.check_watermark(self.machine.disk.copy(), run.server.log.lsn)
            self.counts["stops"] += 1
            end = self.rng.choice((KILL, CUT))
            self.counts[end] -= 1
        return end

    def _failed(
        self, error: OSError | wal.LogFailed | wal.LogFull, starting: Options | None
    ) -> str:
        """starting: the options of a start that failed."""
        self.log(f"{type(error).__name__}: {error}")
        if checks.is_disk_full(error):
            self.machine.free()
            if starting and self.counts["fills"]:
                if isinstance(error, wal.LogFailed):
                    checks.check_refused_start(self.machine.disk, starting.segment_bytes)
                return NO_SPACE
        if self.machine.planned_end != BROKEN or self.machine.end_in:
            raise error
        # After a failed sync, reads still return the data, but no later sync writes it. So the run
        # ends as in a power cut.
        return CUT if self.machine.sync_failed else BROKEN

    def _end(self, end: str) -> None:
        self.log(f"the end: {end}")
        self.counts[end] += 1
        if not self.machine.is_limited or self.rng.random() < 0.5:
            self.machine.free()
        if end != CUT:
            self.machine.kill()
            return
        self.machine.cut()
        self.answered = min(self.answered, self.durable)

    # --- a start

    def _start(self, options: Options) -> ServerRun:
        self.log(f"starts with {options}")
        self.counts["starts"] += 1
        try:
            opened = open_server(self.machine.disk, self.machine.clock, options)
        except (wal.Corrupt, Unreadable) as error:
            raise Violation(f"the server does not start: {error}") from error
        except (PowerFailure, wal.LogFailed, OSError):
            # The segment that this start began may be there, with its id bound.
            self.history.ahead += ids_per_segment(options.segment_bytes)
            raise
        self._check(opened)
        return ServerRun(self.machine, options, opened, self.history, self.generator, self.counts)

    def _check(self, opened: Opened) -> None:
        position = self.history.match(opened.contents, self.answered, self.told, self.ended_at)
        self.log(
            f"comes back as after change {position} of {self.history.position}, "
            f"{self.answered} were answered for"
        )
        self.history.came_back(position)
        offset = self.machine.clock.wall - self.machine.clock.now
        self.history.restart_from(opened.contents, offset)
        self.answered = self.durable = self.told = 0
