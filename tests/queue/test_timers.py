"""Timers: due owners in order, one valid timer each, a bounded heap."""

from __future__ import annotations

from beanstalkd_py.queue.timers import NEVER, STALE_ALLOWED, TimerOwner, Timers


def owner(order: int) -> TimerOwner:
    made = TimerOwner()
    made.order, made.timer_at = order, NEVER
    return made


def test_due_owners_come_in_order_of_time() -> None:
    timers = Timers()
    late, soon, later = owner(1), owner(2), owner(3)
    for each, at in ((late, 20), (soon, 10), (later, 30)):
        timers.plan(each, at, 3)
    assert timers.due(20) == [soon, late]
    assert (soon.timer_at, late.timer_at, later.timer_at) == (NEVER, NEVER, 30)


def test_tie_goes_to_the_smaller_order() -> None:
    timers = Timers()
    second, first = owner(2), owner(1)
    timers.plan(second, 10, 2)
    timers.plan(first, 10, 2)
    assert timers.due(10) == [first, second]


def test_earlier_timer_replaces_the_old_one() -> None:
    timers = Timers()
    moved = owner(1)
    timers.plan(moved, 20, 1)
    timers.plan(moved, 10, 1)
    assert timers.due(10) == [moved]
    assert timers.due(20) == []


def test_stale_timers_do_not_fill_the_heap() -> None:
    timers = Timers()
    heap = timers.heap
    moved = owner(1)
    for at in range(10_000, 0, -1):
        timers.plan(moved, at, 1)
        assert len(heap) <= 2 + STALE_ALLOWED
    assert timers.due(1) == [moved] and timers.heap is heap
