"""Preallocation: no more headroom than necessary, and none is given back too early."""

from __future__ import annotations

import random
from pathlib import Path

from simulation.disk import MemoryDisk

from tests.binlog.daemon import SEGMENT, Daemon

DIRECTORY = Path("/log")


def test_headroom_falls_with_the_live_bytes() -> None:
    """To the byte, not by whole files: headroom for 40 segments of jobs is too much for none."""
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk)
    session = daemon.session()
    for _ in range(2500):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(1, 2501)), daemon.now)
    daemon.turn()
    daemon.rest()
    assert disk.used() <= 2 * SEGMENT


def test_headroom_for_a_large_job_is_given_back_with_it() -> None:
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk)
    daemon.dispatcher.max_job_size = 20 * SEGMENT
    session = daemon.session()
    daemon.say(session, b"put 0 0 60 %d" % (20 * SEGMENT), bytes(20 * SEGMENT))
    assert daemon.say(session, b"delete 1") == b"DELETED\r\n"
    daemon.rest()
    assert disk.used() <= 2 * SEGMENT


def test_headroom_for_large_segments_is_given_back_with_them() -> None:
    """The large segments are of a run with another -s."""
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, segment_bytes=16 * SEGMENT, fs=disk)
    session = daemon.session()
    for _ in range(200):
        daemon.say(session, b"put 0 0 60 5000", bytes(5000))
    daemon = daemon.restarted(DIRECTORY, fs=disk.after_kill())
    session = daemon.session()
    session.receive(b"".join(b"delete %d\r\n" % id for id in range(1, 201)), daemon.now)
    assert daemon.turn(session) == b"DELETED\r\n" * 200
    daemon.rest()
    assert disk.used() <= 2 * SEGMENT


def test_start_on_a_full_disk_keeps_spares_of_the_last_run() -> None:
    """Dead bytes are no headroom before compaction. Until then there are only the spares of the
    last run.
    """
    disk = MemoryDisk()
    daemon = Daemon(DIRECTORY, fs=disk)
    session = daemon.session()
    for _ in range(1000):
        daemon.say(session, b"put 0 0 60 1000", b"x" * 1000)
    for id in random.Random(2).sample(range(1, 1001), 400):
        daemon.say(session, b"delete %d" % id)
    left = disk.after_kill()
    left.capacity = disk.used()
    binlog = daemon.restarted(DIRECTORY, fs=left).binlog
    binlog.log.collect()
    assert binlog.log.headroom >= binlog.headroom.minimum


# --- what the operator hears
