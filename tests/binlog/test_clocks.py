"""Clocks that are wrong: at a start, when a record is written, or out of any range."""

from __future__ import annotations

import random
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from testkit import queue_server

from beanstalkd_py.binlog import records
from beanstalkd_py.queue.model import READY
from tests.binlog.daemon import WALL, Daemon, S, append, buried, one_command, survivors

YEAR = 365 * 24 * 3600 * S
LARGEST = 0xFFFFFFFF  # seconds, in a command
FAR_WALLS = {"in 2140": 170 * YEAR, "in 2231": 261 * YEAR, "in 1870": -100 * YEAR}


def with_times(directory: Path, wall: int) -> Daemon:
    """Two jobs, delayed by a put and by a release, and a paused tube."""
    daemon = Daemon(directory, wall=wall)
    client = daemon.session()
    daemon.say(client, b"put 0 3600 60 1", b"x")
    daemon.say(client, b"put 0 0 60 1", b"x")
    daemon.say(client, b"reserve")
    assert daemon.say(client, b"release 2 0 60") == b"RELEASED\r\n"
    assert daemon.say(client, b"pause-tube default 600") == b"PAUSED\r\n"
    return daemon


def left(daemon: Daemon) -> list[int]:
    """What is left of the two delays and of the pause, in seconds."""
    jobs = [daemon.queue.jobs[id].deadline_at for id in (1, 2)]
    return [(at - daemon.now) // S for at in (*jobs, daemon.queue.default.paused_until)]


def test_restored_times_are_at_most_the_whole_length(tmp_path: Path) -> None:
    with_times(tmp_path, WALL + 10 * YEAR)
    assert left(Daemon(tmp_path, wall=WALL)) == [3600, 60, 600]


def test_clock_that_was_behind_at_a_start_changes_no_record(tmp_path: Path) -> None:
    """The start limits the times in memory. The next one, with the right clock, reads the records
    again.
    """
    daemon = with_times(tmp_path, WALL)
    daemon.now += 30 * S
    assert left(daemon.restarted(tmp_path, wall=WALL - 1800 * S)) == [3600, 60, 600]
    assert left(daemon.restarted(tmp_path)) == [3569, 29, 570]


def test_restored_job_of_the_future_has_age_0(tmp_path: Path) -> None:
    with_times(tmp_path, WALL + 10 * YEAR)
    daemon = Daemon(tmp_path, wall=WALL)
    assert b"\nage: 0\n" in daemon.say(daemon.session(), b"stats-job 1")


@pytest.mark.parametrize("wall", FAR_WALLS.values(), ids=FAR_WALLS.keys())
def test_no_command_fails_on_a_far_clock(tmp_path: Path, wall: int) -> None:
    daemon = Daemon(tmp_path, wall=wall)
    client = daemon.session()
    put = b"put %d %d %d 1" % (LARGEST, LARGEST, LARGEST)
    assert daemon.say(client, put, b"x") == b"INSERTED 1\r\n"
    assert daemon.say(client, b"reserve-job 1") == b"RESERVED 1 1\r\nx\r\n"
    assert daemon.say(client, b"touch 1") == b"TOUCHED\r\n"
    assert daemon.say(client, b"release 1 %d %d" % (LARGEST, LARGEST)) == b"RELEASED\r\n"
    assert daemon.say(client, b"pause-tube default %d" % LARGEST) == b"PAUSED\r\n"
    daemon.binlog.compact_all()
    daemon = daemon.restarted(tmp_path)
    client = daemon.session()
    assert b"\nstate: delayed\n" in daemon.say(client, b"stats-job 1")
    assert b"\npause: %d\n" % LARGEST in daemon.say(client, b"stats-tube default")


@pytest.mark.parametrize("wall", FAR_WALLS.values(), ids=FAR_WALLS.keys())
def test_replay_restores_jobs_that_were_written_on_a_far_clock(tmp_path: Path, wall: int) -> None:
    random_ = random.Random(wall)
    daemon = Daemon(tmp_path, wall=wall)
    client = daemon.session()
    for _ in range(300):
        daemon.now += random_.choice((0, S // 10, 2 * S))
        daemon.say(client, *one_command(random_, daemon, daemon.queue.next_id))
    again = daemon.restarted(tmp_path)
    assert survivors(again.queue, again.now) == survivors(daemon.queue, daemon.now)
    assert buried(again.queue) == buried(daemon.queue)


def test_job_that_was_created_at_the_epoch_keeps_its_age(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.wall = -daemon.now - queue_server.STEP_NS
    daemon.commit()
    daemon.say(daemon.session(), b"put 0 0 60 1", b"x")
    daemon.now += 5 * S
    again = daemon.restarted(tmp_path)
    assert again.queue.jobs[1].created_at == again.now - 5 * S


def test_id_at_the_end_of_the_plausible_ones_is_not_given_again(tmp_path: Path) -> None:
    """A damaged binlog of the C server may have such an id."""
    last = records.MAX_PLAUSIBLE_ID - 1
    record = records.Full(READY, 0, last, 0, S, 0, 0, 0, 0, 0, 0, 0, b"default", b"x")
    append(tmp_path, records.encode(record))
    for id in range(last + 1, last + 5):
        daemon = Daemon(tmp_path, durability=wal.Durability.SYNC)
        reply = daemon.say(daemon.session(), b"put 0 0 60 1", b"x")
        assert reply == b"INSERTED %d\r\n" % id
