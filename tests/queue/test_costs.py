"""Commands cost the same in a small queue and in one that is a hundred times as large, and repeated
changes do not grow memory.

Steps are the bytecode instructions that a command takes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from testkit.queue_server import QueueServer

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.lazyheap import STALE_ALLOWED
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, RESERVED

SECOND = 1_000_000_000
SMALL, LARGE = 30, 3000
MORE = 250  # instructions: a heap is some levels deeper, a number has some digits more


class World(QueueServer):
    """A queue with clients. Each call of `say` takes a microsecond. Ticks are never late."""

    def client(self) -> Session:
        return Session(self.dispatcher)

    def say(self, client: Session, text: str) -> bytes:
        self.now += 1000
        self.tick()
        client.receive(text.encode(), self.now)
        Session.settle(self.dispatcher, self.now)
        return client.take_output()

    def tick(self) -> None:
        if self.queue.next_at <= self.now:
            self.queue.tick(self.now)
            Session.settle(self.dispatcher, self.now)

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.tick()


def put(pri: int = 5, delay: int = 0, ttr: int = 60) -> str:
    return f"put {pri} {delay} {ttr} 1\r\nx\r\n"


def populated(size: int) -> tuple[World, Session]:
    """`size` clients that wait, tubes, and jobs in each state of `default`; a client holds all that
    are reserved.
    """
    world = World()
    client = world.client()
    others = [world.client() for _ in range(size)]
    for number, other in enumerate(others):
        world.say(
            other,
            f"use tube-{number}\r\nwatch tube-{number}\r\nignore default\r\n"
            + put()
            + put(delay=100),
        )
    world.say(client, (put() + "reserve\r\n") * size)
    assert len(client.client.reserved) == size
    first = world.queue.next_id
    world.say(client, put() * size)
    world.say(
        client, "".join(f"reserve-job {id}\r\nbury {id} 5\r\n" for id in range(first, first + size))
    )
    world.say(client, put() * size + put(delay=50) * size)
    for other in others:
        world.say(other, "watch idle\r\nreserve\r\nreserve\r\n")
    assert world.queue.waiting == size
    tube = client.client.used
    assert (tube.ready_count, tube.reserved_count, tube.delayed_count, len(tube.buried)) == (
        size,
        size,
        size,
        size,
    )
    return world, client


def steps(action: Callable[..., object], *arguments: object) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action(*arguments)
    finally:
        sys.settrace(before)
    return count


def ids(world: World) -> dict[str, int]:
    """One job of each state, from the middle of the queue."""
    jobs = sorted(world.queue.jobs.values(), key=lambda job: job.id)
    mine = [job for job in jobs if job.tube is world.queue.default]
    states = {"ready": READY, "held": RESERVED, "buried": BURIED, "delayed": DELAYED}
    kinds = {name: [job.id for job in mine if job.state == state] for name, state in states.items()}
    return {name: found[len(found) // 2] for name, found in kinds.items()}


COMMANDS = [
    "put 5 0 60 1\r\nx",
    "put 5 60 60 1\r\nx",
    "reserve",
    "reserve-with-timeout 0",
    "reserve-job {ready}",
    "reserve-job {delayed}",
    "reserve-job {buried}",
    "delete {ready}",
    "delete {held}",
    "delete {delayed}",
    "delete {buried}",
    "release {held} 5 0",
    "release {held} 5 60",
    "bury {held} 5",
    "touch {held}",
    "kick 1",
    "kick-job {delayed}",
    "kick-job {buried}",
    "peek {ready}",
    "peek-ready",
    "peek-delayed",
    "peek-buried",
    "use tube-7",
    "use new",
    "watch tube-7",
    "watch new",
    "ignore tube-7",
    "list-tube-used",
    "list-tubes-watched",
    "stats",
    "stats-job {held}",
    "stats-tube default",
    "stats-tube idle",
    "pause-tube default 60",
    "pause-tube tube-7 60",
]


@pytest.fixture(scope="module")
def worlds() -> list[tuple[World, Session]]:
    """Shared by all tests: each test continues with the queue of the tests before it."""
    return [populated(SMALL), populated(LARGE)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("\r")[0])
def test_command_costs_the_same_in_a_large_queue(
    worlds: list[tuple[World, Session]], command: str
) -> None:
    taken = []
    for world, client in worlds:
        line = command.format(**ids(world)) + "\r\n"
        taken.append(steps(world.say, client, line))
        world.say(client, "use default\r\npause-tube default 0\r\n")
    assert taken[1] <= taken[0] + MORE, taken


@pytest.mark.parametrize("what", ["connects", "waits", "is served", "gives up", "goes"])
def test_client_costs_the_same_in_a_large_queue(
    worlds: list[tuple[World, Session]], what: str
) -> None:
    taken = []
    for world, client in worlds:
        if what == "connects":
            taken.append(steps(world.client))
            continue
        new = world.client()
        tube = what.replace(" ", "-")
        world.say(new, f"watch {tube}\r\nignore default\r\nuse {tube}\r\n")
        if what == "waits":
            taken.append(steps(world.say, new, "reserve-with-timeout 1\r\n"))
        elif what == "is served":
            world.say(new, "reserve-with-timeout 1\r\n")
            world.say(client, f"use {tube}\r\n")
            taken.append(steps(world.say, client, put()))
            world.say(client, "use default\r\n")
            assert new.take_output().startswith(b"RESERVED")
        elif what == "gives up":
            world.say(new, "reserve-with-timeout 1\r\n")
            world.now += SECOND
            taken.append(steps(world.tick))
            assert new.take_output() == b"TIMED_OUT\r\n"
        else:
            world.say(new, put() + "reserve\r\nreserve\r\n")
            taken.append(steps(new.lost, world.now))
            continue
        new.lost(world.now)
    assert taken[1] <= taken[0] + MORE, taken


# --- memory after many changes of a few jobs

CHANGES = {
    "touch": "touch 1\r\n",
    "release": "release 1 5 0\r\nreserve\r\n",
    "release with other priorities": "release 1 {n} 0\r\nreserve\r\n",
    "release with a delay": "release 1 5 1000\r\nreserve-job 1\r\n",
    "release with a delay, kick": "release 1 5 1000\r\nkick-job 1\r\nreserve\r\n",
    "bury and kick": "bury 1 5\r\nkick 1\r\nreserve\r\n",
    "put and delete": "put 5 0 60 1\r\nx\r\ndelete {next}\r\n",
    "put later and delete": "put 5 1000 60 1\r\nx\r\ndelete {next}\r\n",
    "put, reserve and delete": "put 5 0 60 1\r\nx\r\nreserve\r\ndelete {next}\r\n",
    "timeouts": "release 1 5 0\r\nreserve\r\nreserve-with-timeout {n}\r\n",
    "pause": "pause-tube default {n}\r\n",
    "pause of tubes that go": "use gone-{n}\r\npause-tube gone-{n} 1000\r\n",
    "delayed jobs in tubes that go": "use gone-{n}\r\nput 5 1000 60 1\r\nx\r\ndelete {next}\r\n",
    "watch": "watch gone-{n}\r\nignore gone-{n}\r\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_repeated_changes_do_not_grow_memory(change: str) -> None:
    world = World()
    client = world.client()
    world.say(client, put() + "reserve\r\n")
    for n in range(1, 3000):
        world.say(client, CHANGES[change].format(n=n % 900 + 1, next=world.queue.next_id))
        if client.client.waiting:
            world.wait(1000)
            world.say(client, "reserve\r\n")
    assert kept(world, client) < 4 * STALE_ALLOWED, kept(world, client)


def test_repeated_connections_do_not_grow_memory() -> None:
    world = World()
    client = world.client()
    for n in range(3000):
        new = world.client()
        world.say(
            new,
            f"use t-{n}\r\nwatch t-{n}\r\n"
            + put(ttr=1000 + n)
            + f"reserve\r\nreserve-with-timeout {5000 - n}\r\n",
        )
        new.lost(world.now)
        Session.settle(world.dispatcher, world.now)
        world.say(client, f"delete {world.queue.next_id - 1}\r\n")
    assert kept(world, client) < 4 * STALE_ALLOWED


def kept(world: World, client: Session) -> int:
    """Entries in all heaps, lists and dicts."""
    queue = world.queue
    heaps = [
        queue.timers,
        client.client.deadlines,
        client.client.watched,
        client.client.reserved,
        queue.jobs,
        queue.tubes,
        queue.tube_list,
    ]
    for tube in queue.tubes.values():
        heaps += [
            *tube.ready.buckets.values(),
            tube.ready.priorities,
            tube.ready.keys,
            tube.delayed,
            tube.buried,
            tube.waiting,
        ]
    return sum(len(each) for each in heaps)


def test_deletes_from_the_middle_cost_few_steps_each() -> None:
    """A heap is rebuilt when most of it is stale. On average that is a few steps per delete."""
    world = World()
    client = world.client()
    count = 4000
    world.say(client, put() * count)
    taken = steps(lambda: [world.say(client, f"delete {id}\r\n") for id in range(count, 1, -1)])
    assert kept(world, client) < 4 * STALE_ALLOWED
    alone = World()
    one = alone.client()
    alone.say(one, put() * 2)
    assert taken < 3 * count * steps(alone.say, one, "delete 2\r\n")
