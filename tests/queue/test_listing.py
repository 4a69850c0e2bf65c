"""Pages of jobs: the order, the cursors, and what changes between two slices."""

from __future__ import annotations

from random import Random

import pytest

from beanstalkd_py.queue import listing
from beanstalkd_py.queue.listing import Listing
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, RESERVED, Client, Job
from beanstalkd_py.queue.queue import Queue

SECOND = 1_000_000_000
JOBS = 3 * 1024  # of the tube `a`, in three blocks of ids and more
STATES = [READY, RESERVED, DELAYED, BURIED]


@pytest.fixture(params=["sliced", "at once"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW_JOBS", 0 if request.param == "sliced" else 2 * JOBS)
    monkeypatch.setattr(listing, "SLICE_JOBS", 1)


def filled(rng: Random, jobs: int = JOBS, priorities: int = 5) -> tuple[Queue, Client]:
    """A queue with jobs in all states, and about as many in another tube."""
    queue = Queue()
    client = queue.connect()
    queue.watch(client, b"a")
    queue.ignore(client, b"default")
    for _ in range(jobs):
        delay = rng.choice((0, 0, 0, rng.randrange(1, 50))) * SECOND
        queue.put_in(client, b"a", 0, rng.randrange(priorities), delay, 60 * SECOND, b"x")
        if rng.random() < 0.5:
            queue.put(client, queue.default, 0, 0, 0, SECOND, b"")
        if rng.random() < 0.5 and isinstance(job := queue.reserve(client, 5, 5), Job):
            change(rng, queue, client, job)
    return queue, client


def change(rng: Random, queue: Queue, client: Client, job: Job) -> None:
    what = rng.randrange(4)
    if what == 0:
        queue.bury(client, 0, job.id, 0)
    elif what == 1:
        queue.release(client, 5, job.id, rng.randrange(5), 0)
    elif what == 2:
        queue.delete(client, 0, job.id)


def key(job: Job) -> tuple[int, int]:
    return (job.pri if job.state == READY else job.deadline_at), job.id


def expected(queue: Queue, state: int) -> list[int]:
    tube = queue.tubes[b"a"]
    jobs = [job for job in queue.jobs.values() if job.tube is tube and job.state == state]
    return [job.id for job in sorted(jobs, key=key)]


def pages(queue: Queue, state: int, limit: int) -> list[list[int]]:
    """The ids of all pages; the last one is empty."""
    found: list[list[int]] = []
    after = -1
    while not found or found[-1]:
        page = Listing(queue, queue.tubes[b"a"], state, limit, after)
        while not page.search():
            pass
        jobs = page.take(limit)
        found.append([job.id for _, job in jobs])
        assert not jobs or jobs[0][0] > after
        after = jobs[-1][0] if jobs else after
    return found


@pytest.mark.parametrize("state", STATES)
@pytest.mark.usefixtures("way")
def test_pages_have_all_jobs_in_the_order_of_serving(state: int) -> None:
    queue, _ = filled(Random(state))
    wanted = expected(queue, state)
    assert len(wanted) > 200
    found = pages(queue, state, 70)
    assert [id for page in found for id in page] == wanted
    assert {len(page) for page in found[:-2]} == {70}


def test_ready_jobs_are_listed_as_they_are_reserved() -> None:
    queue, client = filled(Random(7), 300)
    (ids, _) = pages(queue, READY, 1000)
    served = []
    while isinstance(job := queue.reserve(client, 5, 5), Job):
        served.append(job.id)
    assert served == ids


@pytest.mark.usefixtures("way")
def test_job_that_does_not_change_is_listed_whatever_others_do() -> None:
    for seed in range(3):
        rng = Random(seed)
        queue, client = filled(rng)
        before = expected(queue, READY)
        page = Listing(queue, queue.tubes[b"a"], READY, 2 * JOBS, -1)
        touched: set[int] = set()
        while not page.search():
            for _ in range(50):
                if isinstance(job := queue.reserve(client, 5, 5), Job):
                    touched.add(job.id)
                    change(rng, queue, client, job)
        listed = [job.id for _, job in page.take(2 * JOBS)]
        assert [id for id in listed if id not in touched] == [
            id for id in before if id not in touched
        ]
        assert set(listed) <= set(expected(queue, READY))


def test_page_of_one_priority_does_not_look_at_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW_JOBS", 0)
    monkeypatch.setattr(listing, "SLICE_JOBS", 1)
    queue = Queue()
    client = queue.connect()
    for _ in range(4000):
        queue.put(client, queue.default, 0, 3, 0, SECOND, b"")
    for after in (-1, 3 << 64 | 2500):
        page = Listing(queue, queue.default, READY, 100, after)
        assert page.search(), "one slice is enough"
        first = max(after & 0xFFFF, 0) + 1 if after >= 0 else 1
        assert [job.id for _, job in page.take(100)] == list(range(first, first + 100))


def test_search_of_many_jobs_is_done_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SLICE_JOBS", 1)
    queue = Queue()
    client = queue.connect()
    for _ in range(4000):
        queue.put(client, queue.default, 0, 0, SECOND, SECOND, b"")
    page = Listing(queue, queue.default, DELAYED, 100, -1)
    assert [page.search() for _ in range(4)] == [False, False, False, True]


def test_page_is_not_empty_because_its_jobs_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "FEW_JOBS", 0)
    queue = Queue()
    client = queue.connect()
    for _ in range(10):
        queue.put(client, queue.default, 0, 3, 0, SECOND, b"")
    page = Listing(queue, queue.default, READY, 4, -1)
    assert page.search()
    for id in range(1, 5):
        queue.delete(client, 0, id)
    assert page.take(4) == []
    assert page.search_on()
    assert page.search()
    assert [job.id for _, job in page.take(4)] == [5, 6, 7, 8]
    for id in range(5, 11):
        queue.delete(client, 0, id)
    assert page.search_on()
    assert page.search()
    assert not page.search_on()
