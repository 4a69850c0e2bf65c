"""Ready jobs of a tube: FIFO buckets by priority, beside a lazy heap."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from beanstalkd_py.queue import lazyheap
from beanstalkd_py.queue.jobtable import JobTable
from beanstalkd_py.queue.lazyheap import READY, STALE_ALLOWED, Queued
from beanstalkd_py.queue.ready import BUCKETS, JOBS_PER_BUCKET, ReadyJobs, key_of
from tests.queue.test_costs import World, put
from tests.queue.test_lazyheap import is_heap, job


@pytest.fixture(autouse=True)
def small_heaps_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazyheap, "LARGE_ENTRIES", 100)


def table(ids: Iterable[int], priorities: int = 1) -> JobTable[Queued]:
    jobs: JobTable[Queued] = JobTable()
    for id in ids:
        jobs.add(id, job(id, READY, pri=id % priorities))
    return jobs


def taken(ready: ReadyJobs[Queued], jobs: JobTable[Queued]) -> list[tuple[int, int]]:
    """Priority and id of all jobs, taken one after another."""
    order = []
    while (each := ready.first()) is not None:
        order.append((each.pri, each.id))
        jobs.remove(each.id)
        ready.leave(each.pri, each.id, len(jobs))
    return order


@pytest.mark.parametrize("seed", range(10))
def test_jobs_leave_by_priority_then_id(seed: int) -> None:
    rng = random.Random(seed)
    jobs: JobTable[Queued] = JobTable()
    ready = ReadyJobs(jobs)
    ids = [*range(1, 400)]
    if seed % 2:
        rng.shuffle(ids)
    for count, id in enumerate(ids):
        jobs.add(id, job(id, READY, pri=rng.randrange(6)))
        ready.add(jobs[id].pri, id, count)
    expected = sorted((each.pri, each.id) for each in jobs.values())
    assert taken(ready, jobs) == expected


def test_job_out_of_order_stands_in_the_heap() -> None:
    jobs = table(range(1, 20))
    ready = ReadyJobs(jobs)
    for id in range(2, 20):
        ready.add(0, id, id)
    assert (ready.in_buckets, len(ready.keys)) == (18 - 6, 6)
    ready.add(0, 1, 18)
    assert len(ready.keys) == 7
    first = ready.first()
    assert first is not None and first.id == 1


def test_rebuild_sorts_appended_keys_and_drops_stale_ones() -> None:
    jobs = table(range(1, 101), 2)
    ready = ReadyJobs(jobs)
    ready.keys += [key_of(id % 2, id) for id in range(200, 0, -1)]
    ready.rebuild(len(jobs))
    assert ready.in_buckets == 100 and len(ready.keys) == 0
    expected = sorted((each.pri, each.id) for each in jobs.values())
    assert taken(ready, jobs) == expected


def test_buckets_are_bounded() -> None:
    count = JOBS_PER_BUCKET * (BUCKETS + 100)
    jobs = table(range(1, count + 1), BUCKETS + 100)
    ready = ReadyJobs(jobs)
    ready.keys += [key_of(each.pri, each.id) for each in jobs.values()]
    ready.rebuild(count)
    assert len(ready.buckets) == BUCKETS
    assert is_heap(ready.keys)
    assert len(ready) == count


def test_clear_forgets_buckets_too() -> None:
    jobs = table(range(1, 100))
    ready = ReadyJobs(jobs)
    for id in jobs:
        ready.add(0, id, id)
    for id in range(1, 100):
        jobs.remove(id)
    ready.clear()
    assert (len(ready), ready.buckets, ready.priorities, ready.first()) == (0, {}, [], None)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("delay", [0, 1000])
def test_large_heap_is_never_mostly_stale(seed: int, delay: int) -> None:
    rng = random.Random(seed)
    world = World()
    client = world.client()
    ids = list(range(1, 3001))
    for _ in ids:
        world.say(client, put(pri=rng.randrange(10), delay=delay and delay + rng.randrange(1000)))
    tube = client.client.used
    rng.shuffle(ids)
    for number, id in enumerate(ids):
        assert world.say(client, f"delete {id}\r\n") == b"DELETED\r\n"
        heap, count = (
            (tube.delayed.keys, tube.delayed_count)
            if delay
            else (tube.ready.keys, tube.ready_count)
        )
        buckets = [] if delay else [[*ids] for ids in tube.ready.buckets.values()]
        if number % 10 == 0:
            assert is_heap(heap), seed
            assert all(ids == sorted(ids) for ids in buckets), seed
        assert delay or tube.ready.in_buckets == sum(map(len, buckets)), seed
        assert len(heap) + sum(map(len, buckets)) <= max(100, 3 * count) + STALE_ALLOWED, (
            seed,
            len(heap),
            count,
        )
    assert not tube.ready_count and not tube.delayed_count


def test_live_duplicates_do_not_fill_a_large_heap() -> None:
    """All entries of the heap are live, so a sweep would not remove them."""
    world = World()
    client = world.client()
    world.say(client, put() * 200)
    world.say(client, "reserve-job 150\r\nrelease 150 5 0\r\n" * 3000)
    assert len(client.client.used.ready) <= 4 * 200 + STALE_ALLOWED


def test_heap_beside_busy_buckets_is_never_mostly_stale() -> None:
    """Each put makes a bucket. The heap must still be swept."""
    rng = random.Random(1)
    world = World()
    client = world.client()
    count = 500
    world.say(client, put(pri=5) * count)
    ids = list(range(1, count + 1))
    tube = client.client.used
    for _ in range(8 * count):
        place = rng.randrange(len(ids))
        world.say(client, put(pri=5) + f"delete {ids[place]}\r\n")
        ids[place] = world.queue.next_id - 1
        assert len(tube.ready) <= 3 * count + STALE_ALLOWED


def test_bucket_count_follows_the_job_count() -> None:
    """A bucket takes as much memory as two jobs."""
    world = World()
    client = world.client()
    tube = client.client.used
    for pri in range(1000):
        world.say(client, put(pri=pri * 7 % 1000))
        assert len(tube.ready.buckets) <= tube.ready_count // JOBS_PER_BUCKET
    tube.ready.rebuild(tube.ready_count)
    assert len(tube.ready.buckets) == 1000 // JOBS_PER_BUCKET
    order = [int(world.say(client, "reserve\r\n").split()[1]) for _ in range(1000)]
    assert [(id - 1) * 7 % 1000 for id in order] == [*range(1000)]


@pytest.mark.parametrize("count", [10, 100, 6000])
def test_last_job_beside_stale_entries_can_be_deleted(count: int) -> None:
    """Every second job is deleted first, so no deleted job is on top of the heap."""
    world = World()
    client = world.client()
    world.say(client, put() * count)
    tube = client.client.used
    for first in range(1, count, 2):
        assert world.say(client, f"delete {first + 1}\r\ndelete {first}\r\n") == b"DELETED\r\n" * 2
        assert len(tube.ready) <= 3 * tube.ready_count + STALE_ALLOWED
    assert tube.ready_count == 0
