"""The oldest ready job, wherever its entry is."""

from __future__ import annotations

from random import Random

import pytest

from beanstalkd_py.queue import listing
from beanstalkd_py.queue.model import READY, Job
from beanstalkd_py.queue.oldest import Oldest
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000


def expected(queue: Queue, name: bytes | None) -> int:
    ids = [job.id for job in queue.jobs.values() if job.state == READY]
    return min((id for id in ids if name is None or queue.jobs[id].tube.name == name), default=0)


def found(queue: Queue, name: bytes | None) -> int:
    search = Oldest(queue, None if name is None else queue.tubes[name])
    while not search.search():
        pass
    return 0 if search.job is None else search.job.id


@pytest.mark.parametrize("few_jobs", [-1, 1000])
@pytest.mark.parametrize("priorities", [1, 5, 1000])
def test_oldest_is_the_ready_job_with_the_smallest_id(
    few_jobs: int, priorities: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "FEW_JOBS", few_jobs)
    monkeypatch.setattr(listing, "SLICE_JOBS", 50)
    rng = Random(priorities)
    queue = Queue()
    client = queue.connect()
    queue.watch(client, b"a")
    held: list[Job] = []
    for step in range(500):
        tube = rng.choice((b"default", b"a"))
        queue.put_in(client, tube, 0, rng.randrange(priorities), rng.choice((0, 9)), SECOND, b"")
        if rng.random() < 0.7 and isinstance(job := queue.reserve(client, 0, 0), Job):
            held.append(job)
        if held and rng.random() < 0.5:
            job = held.pop(rng.randrange(len(held)))
            if rng.random() < 0.5:
                queue.delete(client, 0, job.id)
            else:
                queue.release(client, 0, job.id, rng.randrange(priorities), 0)
        if rng.random() < 0.1:
            queue.delete(client, 0, rng.randrange(1, queue.next_id))
        if step % 10 == 0 and b"a" in queue.tubes:
            for name in (b"default", b"a", None):
                assert found(queue, name) == expected(queue, name), (step, name)


def test_search_of_many_jobs_is_done_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SLICE_JOBS", 1000)
    queue = Queue()
    client = queue.connect()
    for _ in range(4000):
        queue.put(client, queue.default, 0, 0, SECOND, SECOND, b"")
    last = queue.put_in(client, b"a", 0, 0, 0, SECOND, b"")
    search = Oldest(queue, None)
    assert [search.search() for _ in range(4)] == [False, False, False, True]
    assert search.job is not None and search.job.id == last
    assert Oldest(queue, queue.tubes[b"a"]).search(), "its tube has few ready jobs"


def test_queue_without_ready_jobs_has_no_oldest() -> None:
    queue = Queue()
    client = queue.connect()
    for _ in range(5000):
        queue.put(client, queue.default, 0, 0, SECOND, SECOND, b"")
    for tube in (None, queue.default):
        search = Oldest(queue, tube)
        assert search.search() and search.job is None
