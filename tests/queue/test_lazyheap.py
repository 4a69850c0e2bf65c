"""The lazy heap: always a heap, never mostly stale, swept in small steps."""

from __future__ import annotations

import random

import pytest

from beanstalkd_py.queue import lazyheap
from beanstalkd_py.queue.lazyheap import (
    DELAYED,
    ID_BITS,
    READY,
    RESERVED,
    STALE_ALLOWED,
    LazyHeap,
    Queued,
    remove_at,
    sweep,
)
from tests.queue.test_costs import World, put


def is_heap(heap: list[int]) -> bool:
    return all(heap[(at - 1) >> 1] <= key for at, key in enumerate(heap) if at)


def job(id: int, state: int, pri: int = 0, deadline_at: int = 0) -> Queued:
    made = Queued()
    made.id, made.state, made.pri, made.deadline_at = id, state, pri, deadline_at
    return made


@pytest.fixture(autouse=True)
def small_heaps_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazyheap, "LARGE_ENTRIES", 100)


def heap_of(*jobs: Queued, state: int) -> LazyHeap[Queued]:
    heap = LazyHeap({job.id: job for job in jobs}, state)
    for count, each in enumerate(jobs, 1):
        heap.push(each.pri if state == READY else each.deadline_at, each.id, count)
    return heap


def test_first_is_the_earliest_deadline() -> None:
    late, soon = job(1, DELAYED, deadline_at=9), job(2, DELAYED, deadline_at=5)
    assert heap_of(late, soon, state=DELAYED).first() is soon


def test_first_is_the_smallest_priority_of_ready_jobs() -> None:
    low, high = job(1, READY, pri=9, deadline_at=0), job(2, READY, pri=5, deadline_at=7)
    assert heap_of(low, high, state=READY).first() is high


def test_tie_goes_to_the_smaller_id() -> None:
    newer, older = job(2, DELAYED, deadline_at=5), job(1, DELAYED, deadline_at=5)
    assert heap_of(newer, older, state=DELAYED).first() is older


@pytest.mark.parametrize(
    "change", [{"state": RESERVED}, {"deadline_at": 6}], ids=["another state", "another deadline"]
)
def test_stale_entry_is_dropped_from_the_top(change: dict[str, int]) -> None:
    moved, other = job(1, DELAYED, deadline_at=5), job(2, DELAYED, deadline_at=9)
    heap = heap_of(moved, other, state=DELAYED)
    for name, value in change.items():
        setattr(moved, name, value)
    assert heap.first() is other and len(heap) == 1


def test_entry_of_a_job_that_is_gone_is_stale() -> None:
    gone = job(1, DELAYED, deadline_at=5)
    jobs = {1: gone}
    heap = LazyHeap(jobs, DELAYED)
    heap.push(5, 1, 1)
    del jobs[1]
    assert heap.first() is None and len(heap) == 0


def test_top_entry_leaves_with_its_job_and_others_stay() -> None:
    first, second = job(1, DELAYED, deadline_at=5), job(2, DELAYED, deadline_at=9)
    heap = heap_of(first, second, state=DELAYED)
    heap.leave(9, 2, 1)
    assert len(heap) == 2
    heap.leave(5, 1, 0)
    assert len(heap) == 1


@pytest.mark.parametrize("others", [0, 1])
def test_rebuilt_heap_has_the_entries_of_its_own_jobs_alone(others: int) -> None:
    """Whether all known jobs stand in the heap, as a client's reserved jobs do, or not."""
    held = {id: job(id, RESERVED, deadline_at=10 - id) for id in (1, 2)}
    held |= {id: job(id, READY, deadline_at=1) for id in range(9, 9 + others)}
    heap = LazyHeap(held, RESERVED)
    for id in range(100, 100 + 2 * STALE_ALLOWED):
        heap.push(1, id, 2)  # of a job that is gone
    for id in (1, 2):
        heap.push(10 - id, id, 2)
    heap.tidy(2)
    assert sorted(heap.keys) == [8 << ID_BITS | 2, 9 << ID_BITS | 1]


def test_small_heap_is_rebuilt_when_mostly_stale() -> None:
    jobs = [job(id, DELAYED, deadline_at=id) for id in range(1, STALE_ALLOWED + 10)]
    heap = heap_of(*jobs, state=DELAYED)
    keys = heap.keys
    for count, each in enumerate(reversed(jobs[1:])):
        each.state = READY
        heap.leave(each.deadline_at, each.id, len(jobs) - 1 - count)
    assert len(heap) <= 2 + STALE_ALLOWED and heap.first() is jobs[0]
    assert heap.keys is keys


@pytest.mark.parametrize("seed", range(20))
def test_list_is_still_a_heap_after_a_removal_from_the_middle(seed: int) -> None:
    rng = random.Random(seed)
    heap = sorted(rng.randrange(50) for _ in range(rng.randrange(1, 60)))
    while heap:
        left = heap.copy()
        at = rng.randrange(len(heap))
        left.remove(heap[at])
        remove_at(heap, at)
        assert is_heap(heap) and sorted(heap) == sorted(left), seed


def test_sweep_finds_all_stale_entries_in_small_steps() -> None:
    heap = list(range(1000))
    at = looks = 0

    def is_live(key: int) -> bool:
        nonlocal looks
        looks += 1
        return key % 3 == 0

    rounds = 1500 // lazyheap.STEPS
    for _ in range(rounds):
        at = sweep(heap, at, is_live)
    assert is_heap(heap) and sorted(heap) == list(range(0, 1000, 3))
    assert looks <= rounds * lazyheap.STEPS


def test_deadline_heap_stays_small_under_touches() -> None:
    rng = random.Random(1)
    world = World()
    client = world.client()
    world.say(client, (put() + "reserve\r\n") * 500)
    for _ in range(5000):
        world.say(client, f"touch {rng.randrange(1, 501)}\r\n")
        assert is_heap(client.client.deadlines.keys)
        assert len(client.client.deadlines.keys) <= 3 * 500 + STALE_ALLOWED
    assert all(
        job.deadline_at << ID_BITS | job.id in client.client.deadlines.keys
        for job in client.client.reserved.values()
    )


def test_sweep_empties_a_heap_of_stale_entries() -> None:
    heap = [1, 2, 3]
    assert sweep(heap, 2, lambda key: False) == 0 and heap == []
