"""Servers on unix sockets, which have the same address after a restart, and brokers on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import dramatiq.worker
import greenstalk
import pytest
from dramatiq.message import Message
from dramatiq.middleware import AgeLimit, Retries
from testkit.daemon import Daemon

from beanstalkd_py.dramatiq import BeanstalkdBroker
from beanstalkd_py.dramatiq.client import Client
from beanstalkd_py.dramatiq.consumer import BeanstalkdConsumer, Delivery

MakeBroker = Callable[..., BeanstalkdBroker]
Consume = Callable[..., BeanstalkdConsumer]
Look = Callable[..., tuple[int, ...]]

numbers = itertools.count(1)  # of brokers


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One server for the tests of a file. Each test has tubes of its own."""
    socket = tmp_path_factory.mktemp("shared") / "socket"
    with Daemon(at=f"unix:{socket}") as daemon:
        yield daemon.start()


@pytest.fixture
def server(shared: Daemon) -> Daemon:
    return shared


@pytest.fixture
def make_broker() -> Iterator[MakeBroker]:
    brokers = []

    def make(server: Daemon, **how: Any) -> BeanstalkdBroker:
        middleware = [Retries(min_backoff=1, max_backoff=1), AgeLimit()]
        prefix = f"{next(numbers)}."
        broker = BeanstalkdBroker(
            server.address, **{"middleware": middleware, "prefix": prefix, **how}
        )
        broker.declare_queue("default")
        brokers.append(broker)
        return broker

    yield make
    for broker in brokers:
        broker.close()


@pytest.fixture
def broker(server: Daemon, make_broker: MakeBroker) -> BeanstalkdBroker:
    return make_broker(server)


@pytest.fixture
def consume(broker: BeanstalkdBroker) -> Iterator[Consume]:
    consumers = []

    def consume(prefetch: int = 5, by: BeanstalkdBroker = broker) -> BeanstalkdConsumer:
        consumers.append(by.consume("default", prefetch, timeout=1))
        return consumers[-1]

    yield consume
    for one in consumers:
        one._end()


@pytest.fixture
def client(server: Daemon, broker: BeanstalkdBroker) -> Iterator[Client]:
    """To look at the server, and at the broker's tube."""
    with Client(server.address) as client:
        client.use(broker.queues["default"].tube)
        yield client


@pytest.fixture
def look(server: Daemon, broker: BeanstalkdBroker) -> Look:
    """The numbers of ready, reserved, delayed and buried jobs of the queue or its dead letters."""

    def look(dead: bool = False) -> tuple[int, ...]:
        queue = broker.queues["default"]
        with Client(server.address) as client, suppress(greenstalk.NotFoundError):
            stats: Any = client.stats_tube(queue.dead_tube if dead else queue.tube)
            states = ("ready", "reserved", "delayed", "buried")
            return tuple(stats[f"current-jobs-{state}"] for state in states)
        return (0, 0, 0, 0)

    return look


@pytest.fixture
def quick_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """dramatiq soon tries again after a lost connection."""
    monkeypatch.setattr(dramatiq.worker, "CONSUMER_RESTART_DELAY_SECS", 0.05)
    monkeypatch.setattr(dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.05)


def message(*args: object, queue: str = "default", **options: object) -> Message[object]:
    return Message(queue_name=queue, actor_name="work", args=args, kwargs={}, options=options)


def following(consumer: BeanstalkdConsumer) -> Delivery:
    """The next message."""
    received = next(consumer)
    assert isinstance(received, Delivery)
    return received
