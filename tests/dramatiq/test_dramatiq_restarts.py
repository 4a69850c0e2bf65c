"""The server is started again while messages are processed."""

from __future__ import annotations

from threading import Event

import dramatiq
import pytest
from dramatiq.errors import ConnectionClosed, ConnectionFailed
from dramatiq.message import Message
from dramatiq.worker import Worker
from testkit.daemon import Daemon
from testkit.start import Start

from beanstalkd_py.dramatiq import BeanstalkdBroker
from beanstalkd_py.dramatiq.client import Client
from beanstalkd_py.dramatiq.consumer import BeanstalkdConsumer
from tests.dramatiq.conftest import Consume, Look, MakeBroker, following, message


@pytest.fixture
def server(start: Start, log: str, request: pytest.FixtureRequest) -> Daemon:
    """With a log, unless the parameter is False."""
    return start("-b", log) if getattr(request, "param", True) else start()


def lost(consumer: BeanstalkdConsumer, server: Daemon) -> None:
    server.kill()
    server.start()
    with pytest.raises(ConnectionClosed):
        consumer.touch()
    consumer.close()


def test_enqueue_goes_on_after_restart_of_the_server(
    server: Daemon, broker: BeanstalkdBroker
) -> None:
    broker.enqueue(message(1))
    server.kill()
    with pytest.raises(ConnectionFailed, match=f"no connection to {server.address}: "):
        broker.enqueue(message(2))
    server.start()
    broker.enqueue(message(3))
    server.kill()
    server.start()
    broker.enqueue(message(4))  # its connection was open
    with Client(server.address) as client:
        bodies = [Message.decode(client.peek(id).body).args for id in (1, 2, 3)]
    assert bodies == [(1,), (3,), (4,)]


def test_message_ends_after_restart_of_the_server(
    server: Daemon, broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    for n in range(3):
        broker.enqueue(message(n))
    before = consume(prefetch=2)
    first, second = following(before), following(before)
    lost(before, server)
    with pytest.raises(ConnectionClosed):
        before.ack(first)
    after = consume()
    assert look() == (3, 0, 0, 0)
    after.ack(first)
    assert look() == (2, 0, 0, 0)
    after.nack(second)
    assert look() == (1, 0, 0, 0)
    assert look(dead=True) == (1, 0, 0, 0)


def test_unfinished_message_is_not_returned_twice_after_restart(
    server: Daemon, broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    for n in range(3):
        broker.enqueue(message(n))
    before = consume()
    unfinished = following(before)  # the other two were reserved but not returned
    lost(before, server)
    after = consume()
    assert [following(after).args, following(after).args] == [(1,), (2,)]
    assert next(after) is None
    assert look() == (0, 3, 0, 0)
    after.ack(unfinished)
    assert look() == (0, 2, 0, 0)


def test_message_that_another_worker_got_is_left_to_it(
    server: Daemon, broker: BeanstalkdBroker, make_broker: MakeBroker, consume: Consume, look: Look
) -> None:
    broker.enqueue(message())
    before = consume()
    received = following(before)
    lost(before, server)
    other = consume(by=make_broker(server, prefix=broker.prefix))  # in another process
    again = following(other)
    consume().ack(received)
    assert look() == (0, 1, 0, 0)
    other.ack(again)
    assert look() == (0, 0, 0, 0)


@pytest.mark.parametrize("server", [False], indirect=True)
def test_ack_deletes_no_other_job_with_the_same_id(
    server: Daemon, broker: BeanstalkdBroker, consume: Consume
) -> None:
    """A server without a log begins again with id 1."""
    broker.enqueue(message("old"))
    before = consume()
    received = following(before)
    lost(before, server)
    broker.enqueue(message("new"))
    after = consume()
    after.ack(received)
    new = following(after)
    assert (new.args, new.job.id) == (("new",), received.job.id)


def test_message_with_an_eta_is_returned_again_after_restart(
    server: Daemon, broker: BeanstalkdBroker, consume: Consume
) -> None:
    """dramatiq forgets those that it delays itself when the connection is lost."""
    broker.enqueue(message(eta=1))
    before = consume()
    following(before)
    lost(before, server)
    assert following(consume()).options == {"eta": 1}


def test_worker_goes_on_after_restart_of_the_server(
    server: Daemon, broker: BeanstalkdBroker, quick_restarts: None
) -> None:
    """The message that is being processed meanwhile runs once."""
    begun, may_end, got = Event(), Event(), []

    def wait(n: int) -> None:
        got.append(n)
        begun.set()
        may_end.wait()

    dramatiq.actor(wait, actor_name="work", broker=broker)
    for n in range(3):
        broker.enqueue(message(n))
    worker = Worker(broker, worker_timeout=20, worker_threads=1)
    worker.start()
    begun.wait()
    server.kill()
    server.start()
    may_end.set()
    broker.join("default", interval=5)
    worker.stop()
    assert got == [0, 1, 2]
