"""The worlds of the simulation in which a disk lacks something."""

from __future__ import annotations

import errno
from random import Random

import pytest
from model.limited_journal import LimitedJournal
from simulation.checks import check_refused_start
from simulation.disk import File, MemoryDisk
from simulation.machine import Machine
from simulation.memory import Memory
from simulation.violation import Violation
from simulation.watched_journal import WatchedJournal

from beanstalkd_py.queue.model import BURIED, READY, RESERVED, new_job
from beanstalkd_py.queue.queue import Queue

SEGMENT = 65536


def test_disk_without_space_for_names_overwrites_and_renames():
    disk = MemoryDisk()
    disk.names["/log/spare.1"] = File(bytes(100))
    disk.most_names = 1
    with pytest.raises(OSError, match="No space left"):
        disk.create("/log/spare.2")
    handle = disk.open("/log/spare.1")
    disk.write(handle, b"x" * 100, 0)
    disk.rename("/log/spare.1", "/log/00000001.wal")
    disk.unlink("/log/00000001.wal")
    disk.create("/log/spare.2")


def test_disk_with_a_largest_file_fails_with_efbig():
    disk = MemoryDisk()
    disk.largest_file = 1000
    handle = disk.create("/log/spare.1")
    disk.allocate(handle, 0, 1000)
    for act in (
        lambda: disk.allocate(handle, 1000, 1001),
        lambda: disk.write(handle, b"xx", 999),
    ):
        with pytest.raises(OSError) as caught:
            act()
        assert caught.value.errno == errno.EFBIG


def test_machine_lacks_each_thing_and_frees_it():
    machine = Machine(Random(1), Memory(1))
    machine.lacks = Random(1)
    disk = machine.disk
    lacking = set()
    for _ in range(50):
        machine.limit(SEGMENT, SEGMENT)
        lacking.add((disk.capacity < 1 << 30, disk.most_names < 100, disk.largest_file < 1 << 30))
        assert machine.is_limited
        machine.free()
        assert not machine.is_limited
    assert lacking == {(True, False, False), (True, True, False), (False, False, True)}


def test_start_refused_beside_a_spare_is_caught():
    disk = MemoryDisk()
    disk.names["/log/spare.1"] = File(bytes(4096))
    check_refused_start(disk, SEGMENT)
    disk.names["/log/spare.2"] = File(bytes(8192))
    with pytest.raises(Violation, match="a start was refused for want of space beside"):
        check_refused_start(disk, SEGMENT)


def test_refused_reserve_and_expiry_are_known_although_the_job_is_gone():
    limited = LimitedJournal()
    watched = WatchedJournal(limited)
    job = new_job(1, Queue().tube(b"default"), READY, 0, 0, 60, b"", 0, 0)
    limited.changes_left = 0
    assert not watched.change(job, RESERVED, 0, 0, 9, (1, 0, 0, 0, 0))
    job.reserves = 1
    assert not watched.delete(job)
    limited.changes_left = None
    job.state = BURIED
    assert watched.delete(job)
    assert watched.refused_reserve(job.id, 1) and not watched.refused_reserve(job.id, 2)
    assert watched.refused_expiry(job.id, 1, 0) and not watched.refused_expiry(job.id, 1, 1)


def test_refused_move_is_known_although_the_job_moved_on():
    """The move to the dead tube is refused, then the job's client moves it, in one step."""
    limited = LimitedJournal()
    watched = WatchedJournal(limited)
    queue = Queue()
    job = new_job(1, queue.tube(b"default"), READY, 0, 0, 60, b"", 0, 0)
    for tube, reserves, accepted in ((b"dead", 1, 0), (b"other", 1, 1), (b"dead", 2, 1)):
        limited.changes_left = accepted
        watched.move(job, tube, READY, 0, 0, 0, (reserves, 0, 0, 0, 0), None)
    assert watched.refused_move(job.id, b"dead", 1)
    assert not watched.refused_move(job.id, b"other", 1)
    assert not watched.refused_move(job.id, b"dead", 2)
