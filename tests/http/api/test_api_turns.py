"""Work in slices: the loop has a turn after each, and one request works at a time."""

from __future__ import annotations

import gevent

from beanstalkd_py.http.api.turns import SLICE_NS, Turns


class World:
    """A clock, and what happened: the names of workers, and `turn` and `over` for each turn."""

    def __init__(self) -> None:
        self.now = 0
        self.events: list[str] = []
        self.turns = Turns(lambda: self.now, self.turn)

    def turn(self) -> None:
        self.events.append("turn")
        gevent.sleep(0)
        self.events.append("over")

    def work(self, name: str, steps: int, ns: int) -> None:
        with self.turns.work():
            for _ in self.turns.each(range(steps)):
                self.events.append(name)
                self.now += ns


def test_turn_comes_when_the_slice_is_over() -> None:
    world = World()
    world.work("a", 6, SLICE_NS // 2)
    assert world.events == ["a", "a", "turn", "over"] * 3


def test_short_work_needs_no_turn() -> None:
    world = World()
    world.work("a", 5, SLICE_NS // 10)
    assert world.events == ["a"] * 5


def test_requests_take_turns() -> None:
    """Between two turns of the loop only one of them works."""
    world = World()
    workers = [gevent.spawn(world.work, name, 3, SLICE_NS) for name in "abc"]
    gevent.joinall(workers, timeout=30, raise_error=True)
    assert world.events[1::3] == ["turn"] * 9
    assert world.events[2::3] == ["over"] * 9
    assert sorted(world.events[::3]) == sorted("aaabbbccc")
    assert world.events[:9:3] == ["a", "b", "c"]  # none waits until another has finished


def test_failed_work_lets_others_work() -> None:
    world = World()
    try:
        with world.turns.work():
            raise KeyError
    except KeyError:
        world.work("a", 1, 0)
    assert world.events == ["a"]
