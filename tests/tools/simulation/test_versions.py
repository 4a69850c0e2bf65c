"""Which versions of a job may come back after a crash in a sweep."""

from __future__ import annotations

import pytest
from simulation.sweep.versions import Found, VersionHistory
from simulation.sweep.views import view_all
from simulation.violation import Violation

from beanstalkd_py.queue import bulk
from beanstalkd_py.queue.outcome import DONE
from beanstalkd_py.queue.queue import Queue

S = 1_000_000_000
WALL = 1_700_000_000 * S


def found(queue: Queue) -> Found:
    return Found(view_all(queue, WALL)[1], queue.jobs[1].reserves)


def timed_out(full: bool) -> tuple[VersionHistory, Found, Found]:
    """A job with the record 4 and the end of its TTR between the records 6 and 8. And the job as it
    was before, and as it is then.
    """
    queue, history = Queue(), VersionHistory()
    client = queue.connect()
    queue.put(client, queue.default, 0, 0, 0, 1 * S, b"body")
    history.note(queue, WALL, 4, WALL, full=False)
    queue.reserve(client, 0, 0)
    history.note(queue, WALL, 6, WALL, full=False)
    before = found(queue)
    queue.tick(2 * S)
    history.note(queue, WALL, 8, WALL, full)
    return history, before._replace(reserves=0), found(queue)


def test_ttr_may_have_any_record_of_its_iteration() -> None:
    """Also on a full disk, where it may have none."""
    for full in (False, True):
        history, before, after = timed_out(full)
        for lsn in (7, 8):
            history.compare({1: after}, lsn, WALL)
        for lsn in (6, 7):
            history.compare({1: before}, lsn, WALL)
        with pytest.raises(Violation, match="job 1, of 6 records"):
            history.compare({1: after}, 6, WALL)


def test_ttr_may_have_no_record_on_a_full_disk() -> None:
    history, before, _ = timed_out(full=True)
    history.compare({1: before}, 8, WALL)
    history, before, _ = timed_out(full=False)
    with pytest.raises(Violation, match="job 1, of 8 records"):
        history.compare({1: before}, 8, WALL)


@pytest.mark.parametrize("full", [False, True])
def test_log_goes_on_with_the_version_that_came_back(full: bool) -> None:
    history, before, after = timed_out(full)
    history.cut({1: after}, 7, WALL)
    history.compare({1: after}, 7, WALL)
    history, before, after = timed_out(full)
    history.cut({1: before}, 7, WALL)
    with pytest.raises(Violation):
        history.compare({1: after}, 7, WALL)


def test_job_that_is_moved_and_reserved_at_once_has_the_count_before() -> None:
    queue, history = Queue(), VersionHistory()
    client = queue.connect()
    queue.put(client, queue.tube(b"a"), 0, 0, 0, 1 * S, b"body")
    history.note(queue, WALL, 4, WALL, full=False)
    assert bulk.move_job(queue, 0, 1, b"default") is DONE
    moved = found(queue)
    queue.reserve(client, 0, 0)
    history.note(queue, WALL, 6, WALL, full=False)
    history.compare({1: moved}, 6, WALL)
