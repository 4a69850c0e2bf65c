"""When memory is given back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.model import READY, new_job
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.state import State
from beanstalkd_py.server.memory import (
    GROWTH_BYTES,
    QUIET,
    Memory,
    find_malloc_trim,
    forget_stale,
    resident_bytes,
)

MIB = 1 << 20


class World:
    """A state with `jobs` jobs, and a process that counts how often memory was given back."""

    def __init__(self, jobs: int = 0, connections: int = 0) -> None:
        self.state = State()
        self.counts = [0]
        self.connections = [
            SimpleNamespace(session=SimpleNamespace(client=self.state.connect()))
            for _ in range(connections)
        ]
        self.resident = 100 * MIB
        self.trims = 0
        self.collections = 0
        self.lines: list[str] = []
        self.memory = Memory(
            self.state,
            self.counts,
            self.connections,
            self._collect,
            self.lines.append,
            lambda: self.resident,
            self._trim,
        )
        self.jobs(jobs)

    def _trim(self) -> None:
        self.trims += 1

    def _collect(self) -> None:
        self.collections += 1

    def jobs(self, count: int) -> None:
        for id in range(len(self.state.jobs), count):
            job = new_job(id, self.state.default, READY, 0, 0, 0, b"", 0, 0)
            self.state.jobs.add(id, job)
        for id in range(count, len(self.state.jobs)):
            self.state.jobs.remove(id)

    def step(self, commands: int = 0) -> int:
        """Executes commands, then returns how often `trim_if_due` gave memory back."""
        self.counts[0] += commands
        before = self.trims
        self.memory.trim_if_due()
        return self.trims - before


def test_memory_is_given_back_when_a_quarter_of_the_jobs_is_gone() -> None:
    world = World(jobs=1000)
    assert world.step() == 0
    world.jobs(750)
    assert world.step() == 0
    world.jobs(749)
    assert world.step() == 1
    assert world.step() == 0
    world.jobs(600)
    assert world.step() == 0
    world.jobs(500)
    assert world.step() == 1


def test_peak_of_jobs_between_two_checks_counts() -> None:
    world = World(jobs=1000)
    world.step()
    world.jobs(2000)
    world.step()
    world.jobs(1400)
    assert world.step() == 1


@pytest.mark.sources
def test_closed_connections_count_like_jobs() -> None:
    world = World(connections=1000)
    world.step()
    del world.connections[500:]
    assert world.step() == 1


def test_memory_is_given_back_after_growth() -> None:
    """Growth by memory that is no job and no connection, for example buffers."""
    world = World()
    world.resident += 25 * MIB + GROWTH_BYTES
    assert world.step() == 0
    world.resident += 1
    assert world.step() == 1
    assert world.step() == 0


def test_nothing_is_given_back_under_load() -> None:
    world = World(jobs=1000)
    world.step()
    world.jobs(0)
    assert world.step(QUIET + 1) == 0
    assert world.step(QUIET) == 1


def test_heaps_of_stale_entries_are_cleared() -> None:
    queue = Queue()
    session = Session(Dispatcher(queue))

    def kept(commands: bytes) -> tuple[bool, bool, bool]:
        session.receive(commands, 0)
        forget_stale(queue, [session.client])
        tube = queue.default
        return (
            bool(tube.ready or tube.ready.buckets),
            bool(tube.delayed),
            bool(session.client.deadlines),
        )

    assert kept(b"put 0 0 60 0\r\n\r\n" * 2 + b"put 0 9 60 0\r\n\r\n" + b"reserve\r\n") == (
        True,
        True,
        True,
    )
    assert kept(b"delete 1\r\n") == (True, True, False)
    assert kept(b"delete 3\r\n") == (True, False, False)
    assert kept(b"reserve\r\n") == (False, False, True)
    assert kept(b"release 2 0 9\r\n") == (False, True, False)


def test_free_memory_goes_back_to_the_system() -> None:
    """The real malloc_trim: the last body prevents glibc from giving back all bodies before it."""
    bodies = [bytes(2000) for _ in range(50_000)]
    last = bytes(2000)
    full = resident_bytes()
    del bodies
    find_malloc_trim()()
    assert resident_bytes() < full - 80 * MIB
    assert len(last) == 2000


def test_garbage_is_collected_at_each_quiet_moment() -> None:
    world = World(jobs=10)
    world.step()
    assert world.collections == 1
    world.step(commands=QUIET + 1)
    assert world.collections == 1
    world.jobs(0)
    world.step()
    assert world.collections == 3  # memory is given back, too
