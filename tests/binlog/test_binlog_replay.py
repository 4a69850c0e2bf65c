"""Replay: what pauses, delays and creation times are after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from beanstalkd_py.binlog import records
from beanstalkd_py.queue.model import READY
from tests.binlog.daemon import (
    WALL,
    Daemon,
    S,
    append,
)


def test_pause_ends_at_the_same_wall_clock_time(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    daemon.say(daemon.session(), b"pause-tube default 100")
    again = daemon.restarted(
        tmp_path, now=5 * S, wall=daemon.wall + daemon.now + 40 * S - 5 * S
    )  # 40 s later, after a boot
    assert again.queue.default.paused_until == pytest.approx(65 * S, abs=1000)


def test_paused_tube_without_jobs_stays_until_its_pause_ends(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    again = daemon.restarted(tmp_path)
    assert b"mail" in again.queue.tubes
    again.now += 101 * S
    again.turn()
    assert b"mail" not in again.queue.tubes


def test_replayed_tube_is_removed_when_its_pause_is_ended(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    again = daemon.restarted(tmp_path)
    session = again.session()
    assert again.say(session, b"pause-tube mail 0") == b"PAUSED\r\n"
    assert again.say(session, b"pause-tube mail 0") == b"NOT_FOUND\r\n"


def test_pause_that_ended_at_clock_zero_is_over(tmp_path: Path) -> None:
    """In memory an end at 0 means that there is no pause."""
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    zero = daemon.wall + daemon.queue.tubes[b"mail"].paused_until
    again = daemon.restarted(tmp_path, now=9 * S, wall=zero)
    assert b"mail" not in again.queue.tubes


def test_removed_tube_loses_its_pause(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"use mail")
    daemon.say(session, b"pause-tube mail 100")
    daemon.say(session, b"use other")
    assert b"mail" not in daemon.restarted(tmp_path).queue.tubes


def test_creation_time_is_that_of_the_latest_record(tmp_path: Path) -> None:
    """The wall clock was set between two records. The age must not depend on whether compaction has
    removed the older one.
    """
    before, after = (
        records.Full(READY, 0, 1, 0, 60 * S, WALL + at, 0, 0, 0, 0, 0, 0, b"default", b"x")
        for at in (5 * S, 55 * S)
    )
    append(tmp_path, records.encode(before), records.encode(after))
    assert Daemon(tmp_path).queue.jobs[1].created_at == 55 * S


def test_delayed_job_reserved_by_id_is_ready_after_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    session = daemon.session()
    daemon.say(session, b"put 0 1000 60 1", b"x")
    daemon.say(session, b"reserve-job 1")
    assert daemon.restarted(tmp_path).queue.jobs[1].state == READY
