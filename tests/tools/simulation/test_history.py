"""Which recovered states a history allows."""

from __future__ import annotations

import pytest
from simulation.contents import Contents
from simulation.history import Change, History
from simulation.violation import Violation

from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.model import BURIED, READY
from beanstalkd_py.queue.queue import Queue

PAUSE = 3_000_000_000
WALL = 1_700_000_000_000_000_000


def paused_until(until: int, offset: int = WALL) -> Contents:
    """What a start finds: one tube, paused until this instant of the server's clock."""
    queue = Queue()
    queue.apply_pause(queue.tube(b"a"), PAUSE, until)
    return Contents(queue, offset, 0)


@pytest.mark.parametrize("until", [5, -1])
def test_pause_may_come_back_as_it_was(until: int) -> None:
    history = History()
    history.restart_from(paused_until(until), WALL)
    assert history.match(paused_until(until), 0, 0, now=0) == 0


def test_pause_that_ended_at_zero_may_end_1_ns_later() -> None:
    """The start set its end from 0 to -1, and the record on disk still says 0. Another start, with
    another offset of the clocks, reads that.
    """
    history = History()
    history.restart_from(paused_until(-1), WALL)
    assert history.match(paused_until(7, WALL - 7), 0, 0, now=0) == 0


@pytest.mark.parametrize("limit", [(1 << 63) - 1, -1 << 63])
def test_record_holds_no_instant_beyond_its_limits(limit: int) -> None:
    """The wall clock was set so far away that its instants do not fit into a record."""
    history = History()
    history.set_clock_offset(limit)
    assert history.wall_times(limit // 2, since=0) == [limit // 2, limit]


@pytest.mark.parametrize("until", [4, 7])
def test_pause_with_another_end_is_a_violation(until: int) -> None:
    history = History()
    history.restart_from(paused_until(-1), WALL)
    with pytest.raises(Violation, match="came back"):
        history.match(paused_until(until), 0, 0, now=0)


def expiring(expires_at: int, offset: int = WALL) -> Contents:
    """What a start finds: one job that expires at this instant of the server's clock."""
    queue = Queue()
    queue.apply_put(1, queue.tube(b"a"), READY, 0, 0, 60, b"", 1000 + WALL - offset, 0)
    queue.attributes[1] = Attributes(expires_at=expires_at)
    return Contents(queue, offset, 0)


@pytest.mark.parametrize(("before", "after", "moved"), [(7, -1, 7), (-1, 9, -9)])
def test_expiry_at_zero_may_be_1_ns_earlier(before: int, after: int, moved: int) -> None:
    """An expiry at 0 would mean that the job never expires."""
    history = History()
    history.restart_from(expiring(before), WALL)
    assert history.match(expiring(after, WALL + moved), 0, 0, now=0) == 0


def test_expiry_at_zero_of_the_wall_clock_is_1_ns_later_on_disk() -> None:
    """There, 0 would mean that the job never expires."""
    history = History()
    history.restart_from(expiring(7), WALL)
    history.set_clock_offset(-7)
    assert history.match(expiring(8, -7), 0, 0, now=0) == 0
    with pytest.raises(Violation, match="came back"):
        history.match(expiring(9, -7), 0, 0, now=0)


def test_another_expiry_is_a_violation() -> None:
    history = History()
    history.restart_from(expiring(7), WALL)
    with pytest.raises(Violation, match="came back"):
        history.match(expiring(9), 0, 0, now=0)


def buried(first: int, *others: int) -> Contents:
    """What a start finds: these jobs, buried in this order."""
    queue = Queue()
    for place, id in enumerate((first, *others)):
        queue.apply_put(id, queue.tube(b"a"), BURIED, 0, 0, 60, b"", 1000, place)
    return Contents(queue, WALL, 0)


def test_job_that_a_full_disk_left_buried_may_be_written_as_buried() -> None:
    """Compaction writes a job as it is. Its place in the order of burying is then any."""
    queue = Queue()
    for id in (1, 2):
        queue.apply_put(id, queue.tube(b"a"), READY, 0, 0, 60, b"", 1000, 0)
    ready = Contents(queue, WALL, 0)
    history = History()
    history.restart_from(ready, WALL)
    with pytest.raises(Violation, match="came back"):
        history.match(buried(2, 1), 0, 0, now=0)
    history.unlogged = {1, 2}
    assert history.match(buried(2, 1), 0, 0, now=0) == 0
    assert history.match(ready, 0, 0, now=0) == 0


def test_run_of_a_schedule_is_put_twice_only_if_the_first_put_is_undone() -> None:
    history = History()
    history.changes.append(Change(1, None))
    history.has_put_run(b"daily", 86400)
    history.came_back(1)
    history.has_put_run(b"daily", 2 * 86400)
    with pytest.raises(Violation, match="put twice"):
        history.has_put_run(b"daily", 86400)
    history.came_back(0)
    history.has_put_run(b"daily", 2 * 86400)
    with pytest.raises(Violation, match="put twice"):
        history.has_put_run(b"daily", 86400)
    history.has_forgotten(b"other")
    assert history.runs
    history.has_forgotten(b"daily")
    history.has_put_run(b"daily", 86400)
