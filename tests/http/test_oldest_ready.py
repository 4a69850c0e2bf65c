"""The oldest ready job of each tube: right, with a bounded amount of work per scrape."""

from __future__ import annotations

from random import Random

import pytest

from beanstalkd_py.http import oldest_ready
from beanstalkd_py.http.oldest_ready import OldestReady
from beanstalkd_py.queue.model import READY
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000


class Clock:
    """Each look at it takes so many seconds."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.now = 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def queue_with(jobs: int, tubes: int, priorities: int, seed: int = 1) -> Queue:
    """Each job is put at the instant of its id. One in ten is gone; one in ten is delayed."""
    rng = Random(seed)
    queue = Queue()
    client = queue.connect()
    for id in range(1, jobs + 1):
        name = b"tube-%d" % rng.randrange(tubes)
        delay = SECOND if rng.random() < 0.1 else 0
        queue.put_in(client, name, id, rng.randrange(priorities), delay, SECOND, b"")
    for id in rng.sample(range(1, jobs + 1), jobs // 10):
        queue.delete(client, 0, id)
    return queue


def with_late_tube(queue: Queue) -> Queue:
    """A pass must go through all older jobs to find the oldest one of this tube."""
    for priority in range(2 * oldest_ready.FEW, 0, -1):
        queue.put_in(queue.connect(), b"late", 1_000_000 - priority, priority, 0, SECOND, b"")
    return queue


def expected(queue: Queue) -> dict[bytes, int]:
    oldest: dict[bytes, int] = {}
    for job in queue.jobs.values():
        if job.state == READY:
            oldest.setdefault(job.tube.name, job.created_at)
    return oldest


def found(search: OldestReady) -> dict[bytes, int]:
    return {tube.name: at for tube, at in search.created_at.items()}


@pytest.mark.parametrize("priorities", [1, 5, 1000])
@pytest.mark.parametrize("tubes", [2, 300])
def test_one_search_finds_all_in_a_small_server(priorities: int, tubes: int) -> None:
    queue = queue_with(3000, tubes, priorities)
    search = OldestReady(queue, Clock(0))
    list(search.search(queue.tube_list))
    assert found(search) == expected(queue)


def test_loop_has_turns_while_many_entries_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest_ready, "SLICE_JOBS", 100)
    for queue in (queue_with(3000, 300, 1000), with_late_tube(queue_with(3000, 2, 1000))):
        assert len(list(OldestReady(queue, Clock(0)).search(queue.tube_list))) > 2


def test_long_pass_goes_on_in_the_next_scrape(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice takes longer than a scrape may spend. The old figures are shown meanwhile."""
    monkeypatch.setattr(oldest_ready, "SLICE_JOBS", 500)
    queue = with_late_tube(queue_with(5000, 2, 1000))
    late = queue.tube(b"late")
    search = OldestReady(queue, Clock(1))
    scrapes = 0
    while late not in search.created_at:
        assert len(list(search.search(queue.tube_list))) <= 1
        scrapes += 1
        assert scrapes < 20
    assert scrapes > 3
    assert found(search) == expected(queue)
    list(search.search(queue.tube_list))
    assert found(search) == expected(queue), "of the pass before"


def test_tube_that_is_empty_meanwhile_has_no_figure() -> None:
    queue = queue_with(1000, 1, 1000)
    client = queue.connect()
    search = OldestReady(queue, Clock(0))
    list(search.search(queue.tube_list))
    for id in range(1, 1001):
        queue.delete(client, 0, id)
    list(search.search(queue.tube_list))
    assert search.created_at == {}


def test_change_in_the_middle_of_a_search_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oldest_ready, "SLICE_JOBS", 50)
    queue = queue_with(2000, 20, 100)
    client = queue.connect()
    search = OldestReady(queue, Clock(0))
    for number, _ in enumerate(search.search(queue.tube_list)):
        for id in range(50 * number, 50 * number + 50):
            queue.delete(client, 0, id)
    assert not found(search).keys() - {b"tube-%d" % number for number in range(20)}
