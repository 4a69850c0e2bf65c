"""What is too much for one piece of work is done in several, and others are served in between.
Large heaps stay heaps while they are tidied.
"""

from __future__ import annotations

import random
import re

import pytest

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue import model as jobs
from beanstalkd_py.queue import state
from beanstalkd_py.queue.model import ID_BITS, READY_FOR_LINE, SLACK, line_up, remove_at, sweep
from tests.queue.test_costs import SECOND, World, put

MANY = 2 * state.AT_ONCE + state.AT_ONCE // 2


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heaps of a hundred are large ones."""
    monkeypatch.setattr(jobs, "AT_ONCE", 100)


def is_heap(heap: list[int]) -> bool:
    return all(heap[(at - 1) >> 1] <= key for at, key in enumerate(heap) if at)


@pytest.mark.parametrize("seed", range(20))
def test_a_heap_without_an_entry_of_its_middle_is_a_heap(seed: int) -> None:
    chance = random.Random(seed)
    heap = sorted(chance.randrange(50) for _ in range(chance.randrange(1, 60)))
    while heap:
        left = heap.copy()
        at = chance.randrange(len(heap))
        left.remove(heap[at])
        remove_at(heap, at)
        assert is_heap(heap) and sorted(heap) == sorted(left), seed


def test_a_sweep_looks_at_few_entries_and_finds_all_that_are_stale() -> None:
    heap = list(range(1000))
    at = looks = 0

    def is_live(key: int) -> bool:
        nonlocal looks
        looks += 1
        return key % 3 == 0

    rounds = 1500 // jobs.STEPS
    for _ in range(rounds):
        at = sweep(heap, at, is_live)
    assert is_heap(heap) and sorted(heap) == list(range(0, 1000, 3))
    assert looks <= rounds * jobs.STEPS


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("delay", [0, 1000])
def test_a_large_heap_is_never_mostly_stale(seed: int, delay: int) -> None:
    chance = random.Random(seed)
    world = World()
    client = world.client()
    ids = list(range(1, 3001))
    for _ in ids:
        world.say(
            client, put(pri=chance.randrange(10), delay=delay and delay + chance.randrange(1000))
        )
    tube = client.client.used
    chance.shuffle(ids)
    for id in ids:
        assert world.say(client, f"delete {id}\r\n") == b"DELETED\r\n"
        heap, count = (
            (tube.delayed, tube.delayed_count) if delay else (tube.ready, tube.ready_count)
        )
        lines = [] if delay else [[*line] for line in tube.lines.values()]
        assert is_heap(heap), seed
        assert all(line == sorted(line) for line in lines), seed
        assert delay or tube.in_lines == sum(map(len, lines)), seed
        assert len(heap) + sum(map(len, lines)) <= max(100, 3 * count) + SLACK, (
            seed,
            len(heap),
            count,
        )
    assert not tube.ready_count and not tube.delayed_count


def test_touches_of_many_jobs_leave_no_heap_that_is_mostly_stale() -> None:
    chance = random.Random(1)
    world = World()
    client = world.client()
    world.say(client, (put() + "reserve\r\n") * 500)
    for _ in range(5000):
        world.say(client, f"touch {chance.randrange(1, 501)}\r\n")
        assert is_heap(client.client.deadlines)
        assert len(client.client.deadlines) <= 3 * 500 + SLACK
    assert all(
        job.deadline_at << ID_BITS | job.id in client.client.deadlines
        for job in client.client.reserved.values()
    )


def test_one_job_that_goes_and_comes_does_not_fill_a_large_heap() -> None:
    """Its entries are all live: steps would not make them less."""
    world = World()
    client = world.client()
    world.say(client, put() * 200)
    world.say(client, "reserve-job 150\r\nrelease 150 5 0\r\n" * 3000)
    assert len(client.client.used.ready) + client.client.used.in_lines <= 4 * 200 + SLACK


def buried(count: int, **how: int) -> tuple[World, Session]:
    world = World()
    client = world.client()
    world.say(client, put(**how) * count)
    if not how:
        world.say(client, "reserve\r\n" * count)
        world.say(client, "".join(f"bury {id} 5\r\n" for id in range(1, count + 1)))
    return world, client


@pytest.mark.parametrize("how", [{}, {"delay": 1000}])
def test_others_are_served_while_many_jobs_are_kicked(how: dict[str, int]) -> None:
    world, client = buried(MANY, **how)
    other = world.client()
    assert world.say(client, "kick 1000000\r\npeek-buried\r\n") == b""
    seen = []
    while client.held:
        seen.append(
            int(re.findall(rb"current-jobs-ready: (\d+)", world.say(other, "stats\r\n"))[0])
        )
        client.run(world.now)
    assert seen == [state.AT_ONCE, 2 * state.AT_ONCE]
    assert client.take_output() == b"KICKED %d\r\nNOT_FOUND\r\n" % MANY


def test_a_kick_counts_what_others_left_of_the_jobs() -> None:
    world, client = buried(MANY)
    other = world.client()
    world.say(client, f"kick {MANY}\r\n")
    world.say(other, "".join(f"delete {id}\r\n" for id in range(state.AT_ONCE + 1, MANY - 9)))
    client.run(world.now)
    assert client.take_output() == b"KICKED %d\r\n" % (state.AT_ONCE + 10)
    assert not client.held


def test_a_client_that_leaves_ends_its_kick() -> None:
    world, client = buried(MANY)
    world.say(client, f"kick {MANY}\r\n")
    client.lost(world.now)
    assert world.queue.ready_count == state.AT_ONCE


@pytest.mark.parametrize("what", ["delay", "ttr"])
def test_much_that_is_due_at_once_is_done_in_pieces(what: str) -> None:
    world = World()
    client = world.client()
    world.say(client, put(**{what: 10}) * MANY)
    if what == "ttr":
        world.say(client, "reserve\r\n" * MANY)
    world.wait(10)
    ready = [world.queue.ready_count]
    while ready[-1] < MANY:
        assert world.queue.next_at == world.now + state.YIELD_NS
        world.wait(state.YIELD_NS / SECOND)
        ready.append(world.queue.ready_count)
    assert ready == [state.AT_ONCE, 2 * state.AT_ONCE, MANY]


def test_a_heap_beside_lines_that_fill_again_is_never_mostly_stale() -> None:
    """Each put makes a line; that must not keep the heap from being swept."""
    chance = random.Random(1)
    world = World()
    client = world.client()
    count = 500
    world.say(client, put(pri=5) * count)
    ids = list(range(1, count + 1))
    tube = client.client.used
    for _ in range(8 * count):
        place = chance.randrange(len(ids))
        world.say(client, put(pri=5) + f"delete {ids[place]}\r\n")
        ids[place] = world.queue.next_id - 1
        assert len(tube.ready) + tube.in_lines <= 3 * count + SLACK


def test_few_jobs_of_many_priorities_have_no_lines_of_their_own() -> None:
    """A line takes as much memory as two jobs."""
    world = World()
    client = world.client()
    tube = client.client.used
    for pri in range(1000):
        world.say(client, put(pri=pri * 7 % 1000))
        assert len(tube.lines) <= tube.ready_count // READY_FOR_LINE
    line_up(tube, world.queue.jobs)
    assert len(tube.lines) == 1000 // READY_FOR_LINE
    order = [int(world.say(client, "reserve\r\n").split()[1]) for _ in range(1000)]
    assert [(id - 1) * 7 % 1000 for id in order] == [*range(1000)]


@pytest.mark.parametrize("count", [10, 100, 6000])
def test_the_last_of_a_stale_heap_beside_a_line_may_go(count: int) -> None:
    """Of each two jobs the second is deleted first: never is one on top."""
    world = World()
    client = world.client()
    world.say(client, put() * count)
    tube = client.client.used
    for first in range(1, count, 2):
        assert world.say(client, f"delete {first + 1}\r\ndelete {first}\r\n") == b"DELETED\r\n" * 2
        assert len(tube.ready) + tube.in_lines <= 3 * tube.ready_count + SLACK
    assert tube.ready_count == 0


def test_a_sweep_of_a_heap_in_which_all_is_stale_leaves_nothing() -> None:
    heap = [1, 2, 3]
    assert sweep(heap, 2, lambda key: False) == 0 and heap == []
