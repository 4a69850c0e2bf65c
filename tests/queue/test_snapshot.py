"""Snapshots: the figures of queue, tube, job and connection at one instant."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from beanstalkd_py.queue import snapshot
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000
NOW = 1000 * SECOND


@pytest.fixture
def queue() -> Queue:
    """Job 1 reserved, 2 ready and urgent, 3 delayed, 4 buried; one client waits elsewhere."""
    queue = Queue()
    client = queue.connect()
    for pri, delay in ((0, 0), (1023, 0), (1024, 9 * SECOND), (5, 0)):
        queue.put(client, client.used, NOW, pri, delay, 60 * SECOND, b"body")
    queue.reserve_job(client, NOW, 4)
    queue.bury(client, 0, 4, 5)
    queue.reserve_job(client, NOW, 1)
    waiting = queue.connect()
    queue.watch(waiting, b"empty")
    queue.ignore(waiting, b"default")
    queue.reserve(waiting, NOW, NOW + SECOND)
    return queue


def test_queue_snapshot_counts_everything(queue: Queue) -> None:
    shown = snapshot.of_queue(queue)
    assert (shown.urgent_jobs, shown.ready_jobs, shown.reserved_jobs) == (1, 1, 1)
    assert (shown.delayed_jobs, shown.buried_jobs, shown.total_jobs) == (1, 1, 4)
    assert (shown.connections, shown.total_connections, shown.tubes) == (2, 2, 2)
    assert (shown.producers, shown.workers, shown.waiting) == (1, 2, 1)
    assert shown.draining is False


def test_tube_snapshot_counts_its_jobs_and_clients(queue: Queue) -> None:
    queue.pause_tube(NOW, b"default", 5 * SECOND)
    shown = snapshot.of_tube(queue.default, NOW + 2 * SECOND)
    assert (shown.name, shown.ready_jobs, shown.reserved_jobs) == (b"default", 1, 1)
    assert (shown.delayed_jobs, shown.buried_jobs, shown.total_jobs) == (1, 1, 4)
    assert (shown.using, shown.watching, shown.waiting) == (2, 1, 0)
    assert (shown.pauses, shown.pause_ns, shown.pause_left_ns) == (1, 5 * SECOND, 3 * SECOND)
    assert snapshot.of_tube(queue.tubes[b"empty"], NOW).waiting == 1


@pytest.mark.parametrize(
    ("id", "state", "left_s"),
    [(1, "reserved", 58), (2, "ready", 0), (3, "delayed", 7), (4, "buried", 0)],
)
def test_job_snapshot_has_state_and_time_left(
    queue: Queue, id: int, state: str, left_s: int
) -> None:
    shown = snapshot.of_job(queue.jobs[id], NOW + 2 * SECOND)
    assert (shown.state, shown.left_ns, shown.age_ns) == (state, left_s * SECOND, 2 * SECOND)


def test_time_left_is_not_negative(queue: Queue) -> None:
    assert snapshot.of_job(queue.jobs[3], NOW + 100 * SECOND).left_ns == 0


def test_segment_is_zero_without_a_journal(queue: Queue) -> None:
    job = queue.jobs[1]
    assert snapshot.of_job(job, NOW).segment == 0
    job.full_segment = SimpleNamespace(number=7)
    assert snapshot.of_job(job, NOW).segment == 7


def test_connection_snapshot_has_its_tubes(queue: Queue) -> None:
    (waiting,) = queue.tubes[b"empty"].waiting
    shown = snapshot.of_connection(waiting, NOW + 3)
    assert (shown.used, shown.watched, shown.reserved_jobs) == (b"default", 1, 0)
    assert shown.waited_ns == 3
    assert (shown.is_producer, shown.is_worker, shown.is_waiting) == (False, True, True)


def test_snapshot_cannot_be_changed(queue: Queue) -> None:
    shown = snapshot.of_queue(queue)
    with pytest.raises(AttributeError):
        shown.ready_jobs = 7  # type: ignore[misc]
