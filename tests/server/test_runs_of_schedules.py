"""Schedules on a fake clock: each run is put once, over restarts, set clocks and refusals."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simulation.disk import MemoryDisk
from testkit.shifted_clocks import ShiftedClocks
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.config.schedules import Schedule
from beanstalkd_py.host.events import EventLog
from beanstalkd_py.server.schedules import Schedules
from tests.binlog.daemon import Daemon, S

MINUTE = 60
HOUR = 60 * MINUTE
EVERY_HOUR = Schedule("hourly", "0 * * * *", "t", "body", priority=5, ttr=9)


class World:
    """A queue with its binlog, and schedules. Time begins a minute before a full hour."""

    def __init__(self, *schedules: Schedule) -> None:
        self.disk = MemoryDisk()
        self.schedules = schedules
        self.said: list[str] = []
        self.daemon = Daemon("/log", fs=self.disk)
        self.begin()
        self.wait(HOUR - MINUTE - self.wall() % HOUR)

    def begin(self) -> None:
        events = EventLog("prog", self.write)
        daemon = self.daemon
        self.runner = Schedules(daemon.queue, events, self.wall, lambda: daemon.now, self.settle)
        self.runner.set(self.schedules)
        self.runner.check()
        daemon.commit()

    def write(self, line: str, at: float) -> bool:
        self.said.append(line)
        return True

    def settle(self, now: int) -> None:
        pass

    def wall(self) -> float:
        return (self.daemon.now + self.daemon.wall) / S

    def wait(self, seconds: float, step: float = 30) -> None:
        while seconds > 0:
            self.daemon.now += int(min(seconds, step) * S)
            seconds -= step
            self.daemon.iterate()
            self.runner.check()

    def restart(self, away: float) -> None:
        """A kill, and a start so much later."""
        self.disk = self.disk.after_kill()
        now = self.daemon.now + int(away * S)
        self.daemon = self.daemon.restarted("/log", fs=self.disk, now=now)  # type: ignore[arg-type]
        self.begin()

    def runs(self) -> list[int]:
        """Hours of the runs whose jobs are there, from the first one on."""
        first = int(self.wall() // HOUR)
        keys = [has.key for has in self.daemon.queue.attributes.values()]
        return [int(key.split(b":")[-1]) // HOUR - first for key in keys]

    def count(self) -> int:
        return len(self.daemon.queue.jobs)


def test_run_is_put_at_its_instant_and_once() -> None:
    world = World(EVERY_HOUR)
    assert world.count() == 0
    world.wait(MINUTE)
    (job,) = world.daemon.queue.jobs.values()
    assert (job.tube.name, job.body, job.pri, job.ttr) == (b"t", b"body", 5, 9 * S)
    world.wait(HOUR - MINUTE)
    assert world.count() == 1
    world.wait(MINUTE)
    assert world.runs() == [-1, 0]
    assert world.daemon.queue.connections == world.daemon.queue.producers == 0


@pytest.mark.parametrize("is_deleted", [False, True])
def test_no_run_twice_over_kills(is_deleted: bool) -> None:
    """Also if its job is done and deleted before the kill."""
    world = World(EVERY_HOUR._replace(missed="one"))
    world.wait(2 * MINUTE)
    if is_deleted:
        session = world.daemon.session()
        assert world.daemon.say(session, b"delete 1") == b"DELETED\r\n"
    for _ in range(3):
        world.restart(5)
        world.wait(30)
    assert world.count() == (not is_deleted)
    world.wait(HOUR)
    assert world.count() == 2 - is_deleted


@pytest.mark.parametrize(("missed", "runs"), [("skip", []), ("one", [0])])
def test_missed_runs_are_skipped_or_one_is_put(missed: str, runs: list[int]) -> None:
    world = World(EVERY_HOUR._replace(missed=missed))
    world.restart(10 * HOUR + 3 * MINUTE)
    assert world.runs() == runs
    world.restart(5)
    assert world.runs() == runs
    world.wait(HOUR)
    assert world.count() == len(runs) + 1


def test_start_just_after_the_instant_still_puts_the_run() -> None:
    world = World(EVERY_HOUR)
    world.restart(MINUTE + 20)
    assert world.runs() == [0]


def test_clock_that_is_set_back_puts_no_run_twice() -> None:
    world = World(EVERY_HOUR._replace(missed="one"))
    world.wait(2 * MINUTE)
    world.daemon.wall -= 3 * HOUR * S
    world.wait(3 * HOUR)
    assert world.count() == 1
    world.wait(HOUR)
    assert world.count() == 2


def test_refused_run_is_tried_again_and_reported_once() -> None:
    world = World(EVERY_HOUR)
    world.daemon.queue.draining = True
    world.wait(MINUTE + 30)
    assert world.count() == 0
    (line,) = world.said
    assert "schedule hourly: a run was refused with DRAINING; it is tried again" in line
    world.daemon.queue.draining = False
    world.wait(30)
    assert world.count() == 1
    world.daemon.queue.draining = True
    world.wait(HOUR + 2 * MINUTE)
    world.daemon.queue.draining = False
    world.wait(MINUTE)
    assert world.count() == 1, "the refused run was missed"


def test_new_schedule_begins_now_and_old_ones_are_forgotten() -> None:
    world = World(EVERY_HOUR._replace(missed="one"))
    world.wait(2 * MINUTE)
    world.schedules = (EVERY_HOUR._replace(name="other", missed="one"),)
    world.runner.set(world.schedules)
    world.wait(MINUTE)
    assert world.count() == 1 and list(world.daemon.queue.runs) == [b"other"]
    world.restart(1)
    assert list(world.daemon.queue.runs) == [b"other"]


class FullJournal:
    """A journal without headroom for the runs of schedules."""

    def __init__(self, journal: Any) -> None:
        self.journal = journal

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def run(self, schedule: bytes, at: int) -> bool:
        return False


def test_schedule_begins_later_if_a_full_disk_refuses_its_first_record() -> None:
    world = World()
    journal = world.daemon.queue.journal
    world.daemon.queue.journal = FullJournal(journal)
    world.runner.set((EVERY_HOUR._replace(missed="one"),))
    world.wait(30)
    assert not world.daemon.queue.runs
    world.daemon.queue.journal = journal
    world.wait(20)
    assert list(world.daemon.queue.runs) == [b"hourly"] and world.count() == 0
    world.wait(MINUTE)
    assert world.runs() == [0]


def test_records_of_new_schedules_are_in_the_order_of_the_file() -> None:
    """So that the log is the same each time."""
    names = [f"{number * 7 % 20}th" for number in range(20)]
    world = World(*(EVERY_HOUR._replace(name=name) for name in names))
    assert [name.decode() for name in world.daemon.queue.runs] == names


def test_runs_stay_over_compaction() -> None:
    world = World(EVERY_HOUR._replace(missed="one"))
    world.wait(2 * MINUTE)
    session = world.daemon.session()
    for _ in range(200):
        id = world.daemon.queue.next_id
        world.daemon.say(session, b"put 0 0 60 9000", bytes(9000))
        world.daemon.say(session, b"delete %d" % id)
    world.daemon.rest()
    assert world.daemon.binlog.log.oldest > 1
    runs: dict[bytes, Any] = dict(world.daemon.queue.runs)
    live = world.daemon.binlog.usage.live
    world.restart(1)
    assert world.daemon.queue.runs == runs
    assert world.daemon.binlog.usage.live == live


@pytest.fixture
def clocks(compiler: None) -> Iterator[ShiftedClocks]:
    with ShiftedClocks() as clocks:
        yield clocks


def test_server_puts_a_run_for_a_waiting_client_and_once_over_a_kill(
    start: Start, clocks: ShiftedClocks, tmp_path: Path
) -> None:
    """An hour later by the wall clock, some full hour has passed. A reload brings a schedule."""
    config = tmp_path / "beanstalkd.toml"
    config.write_text("")
    daemon = start("--config", str(config), directory=tmp_path, environ=clocks.environment)
    client = daemon.client()
    client.ask(b"watch t\r\n")
    client.say(b"reserve\r\n")
    config.write_text(
        '[[schedule]]\nname = "hourly"\ncron = "0 * * * *"\n'
        'tube = "t"\nbody = "do it"\nmissed = "one"\n'
    )
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "changed: schedule: hourly" in daemon.errors(), "the file is read again")
    clocks.set_wall(HOUR)
    assert client.hear() == [b"RESERVED 1 5\r\ndo it\r\n"]
    assert client.ask(b"delete 1\r\n") == b"DELETED\r\n"
    daemon.kill()
    daemon.start()
    assert daemon.client().stat(b"current-jobs-ready") == b"0"
