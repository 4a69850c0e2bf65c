"""Drain mode: the operator hears when it begins and ends, whoever asked for it."""

from __future__ import annotations

import pytest

from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.lifecycle import Draining


class World:
    def __init__(self) -> None:
        self.queue = Queue()
        self.events: list[str] = []
        self.draining = Draining(self.queue, self.report)

    def report(self, message: str, event: str = "", **fields: object) -> None:
        self.events.append(event)


@pytest.fixture
def world() -> World:
    return World()


def test_signal_is_reported_once_and_at_once(world: World) -> None:
    world.draining.begin()
    assert world.queue.draining and world.events == ["draining"]
    world.draining.begin()
    world.draining.check()
    assert world.events == ["draining"]


def test_command_is_reported_at_the_next_check(world: World) -> None:
    world.queue.draining = True
    world.draining.check()
    world.draining.check()
    assert world.events == ["draining"]
    world.queue.draining = False
    world.draining.check()
    world.draining.check()
    assert world.events == ["draining", "draining_ended"]


def test_commands_between_two_checks_make_no_line(world: World) -> None:
    for on in [True, False] * 100:
        world.queue.draining = on
    world.draining.check()
    assert world.events == []


def test_signal_after_an_unreported_end_begins_again(world: World) -> None:
    world.draining.begin()
    world.queue.draining = False
    world.draining.check()
    world.draining.begin()
    assert world.events == ["draining", "draining_ended", "draining"]
