"""Kicks and timers of many jobs are done in slices; other clients are served in between."""

from __future__ import annotations

import re

import pytest

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue import bulk, state
from beanstalkd_py.queue.ticks import YIELD_NS
from tests.queue.test_costs import SECOND, World, put

MANY = 2 * state.SLICE_JOBS + state.SLICE_JOBS // 2


def buried(count: int, **how: int) -> tuple[World, Session]:
    world = World()
    client = world.client()
    world.say(client, put(**how) * count)
    if not how:
        world.say(client, "reserve\r\n" * count)
        world.say(client, "".join(f"bury {id} 5\r\n" for id in range(1, count + 1)))
    return world, client


@pytest.mark.parametrize("how", [{}, {"delay": 1000}])
def test_kick_of_many_jobs_is_done_in_slices(how: dict[str, int]) -> None:
    world, client = buried(MANY, **how)
    other = world.client()
    assert world.say(client, "kick 1000000\r\npeek-buried\r\n") == b""
    seen = []
    while client.held:
        seen.append(
            int(re.findall(rb"current-jobs-ready: (\d+)", world.say(other, "stats\r\n"))[0])
        )
        client.run(world.now)
    assert seen == [state.SLICE_JOBS, 2 * state.SLICE_JOBS]
    assert client.take_output() == b"KICKED %d\r\nNOT_FOUND\r\n" % MANY


def test_kick_counts_only_jobs_that_others_left() -> None:
    world, client = buried(MANY)
    other = world.client()
    world.say(client, f"kick {MANY}\r\n")
    world.say(other, "".join(f"delete {id}\r\n" for id in range(state.SLICE_JOBS + 1, MANY - 9)))
    client.run(world.now)
    assert client.take_output() == b"KICKED %d\r\n" % (state.SLICE_JOBS + 10)
    assert not client.held


def test_disconnect_ends_a_kick() -> None:
    world, client = buried(MANY)
    world.say(client, f"kick {MANY}\r\n")
    client.lost(world.now)
    assert world.queue.ready_count == state.SLICE_JOBS


@pytest.mark.parametrize("how", [{}, {"delay": 1000}])
def test_truncate_of_many_jobs_is_done_in_slices(how: dict[str, int]) -> None:
    world, client = buried(MANY, **how)
    other = world.client()
    world.say(other, put() * 3)
    assert world.say(client, "truncate default\r\n") == b""
    left = []
    while client.held:
        left.append(len(world.queue.jobs))
        assert world.say(other, put()).startswith(b"INSERTED")
        client.run(world.now)
    assert left == [MANY + 3 - state.SLICE_JOBS, MANY + 4 - 2 * state.SLICE_JOBS]
    assert client.take_output() == b"TRUNCATED %d\r\n" % (MANY + 3)
    assert len(world.queue.jobs) == 2, "jobs that were put after the command"


def test_move_of_many_jobs_is_done_in_slices() -> None:
    world, client = buried(MANY, pri=0)
    other = world.client()
    assert world.say(client, f"move-jobs default ready to {MANY}\r\n") == b""
    left = []
    while client.held:
        left.append(client.client.used.ready_count)
        assert world.say(other, put(pri=9)).startswith(b"INSERTED")
        client.run(world.now)
    assert left == [MANY - each * bulk.SLICE_MOVES + each - 1 for each in range(1, len(left) + 1)]
    assert client.take_output() == b"MOVED %d\r\n" % MANY
    assert world.queue.tubes[b"to"].ready_count == MANY


def test_truncate_ends_when_the_tube_is_gone() -> None:
    """Another tube of its name is another tube."""
    world, client = buried(MANY)
    other = world.client()
    world.say(client, "use a\r\n" + put() * MANY + "use default\r\ntruncate a\r\n")
    world.say(other, "truncate a\r\n")
    while other.held:
        other.run(world.now)
    world.say(other, "use a\r\n" + put())
    while client.held:
        client.run(world.now)
    assert client.take_output() == b"TRUNCATED %d\r\n" % state.SLICE_JOBS
    assert world.say(other, "stats-tube a\r\n").count(b"current-jobs-ready: 1\n") == 1


@pytest.mark.parametrize("what", ["delay", "ttr"])
def test_tick_of_many_jobs_is_done_in_slices(what: str) -> None:
    world = World()
    client = world.client()
    world.say(client, put(**{what: 10}) * MANY)
    if what == "ttr":
        world.say(client, "reserve\r\n" * MANY)
    world.wait(10)
    ready = [world.queue.ready_count]
    while ready[-1] < MANY:
        assert world.queue.next_at == world.now + YIELD_NS
        world.wait(YIELD_NS / SECOND)
        ready.append(world.queue.ready_count)
    assert ready == [state.SLICE_JOBS, 2 * state.SLICE_JOBS, MANY]
