"""Messages from the reserve to their end, without a worker."""

from __future__ import annotations

import greenstalk
import pytest
from dramatiq.broker import MessageProxy
from dramatiq.errors import BrokerConnectionError, BrokerError, ConnectionClosed
from testkit.daemon import Daemon
from testkit.waiting import wait_until

from beanstalkd_py.dramatiq import BeanstalkdBroker
from beanstalkd_py.dramatiq import consumer as consumer_module
from beanstalkd_py.dramatiq.client import Client
from tests.dramatiq.conftest import Consume, Look, MakeBroker, following, message


def test_empty_queue_returns_none(consume: Consume) -> None:
    assert next(consume()) is None


def test_messages_come_by_priority_and_then_in_order(
    broker: BeanstalkdBroker, client: Client, consume: Consume
) -> None:
    for n in range(3):
        broker.enqueue(message(n))
    client.put_in(broker.queues["default"].tube, message(3).encode(), 65535, 0, 60)
    consumer = consume()
    assert [following(consumer).args for _ in range(4)] == [(3,), (0,), (1,), (2,)]


def test_prefetch_limits_the_unfinished_messages(
    broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    for n in range(4):
        broker.enqueue(message(n))
    consumer = consume(prefetch=2)
    first, second = following(consumer), following(consumer)
    assert next(consumer) is None
    assert look() == (2, 2, 0, 0)
    consumer.ack(second)
    assert following(consumer).args == (2,)
    consumer.nack(first)
    assert following(consumer).args == (3,)


def test_ack_deletes_the_job(broker: BeanstalkdBroker, consume: Consume, look: Look) -> None:
    broker.enqueue(message())
    consumer = consume()
    received = following(consumer)
    consumer.ack(received)
    assert look() == (0, 0, 0, 0)
    broker.enqueue(message())
    consumer.ack(received)  # once more changes nothing
    assert look() == (1, 0, 0, 0)


def test_unknown_message_is_ignored(broker: BeanstalkdBroker, consume: Consume, look: Look) -> None:
    broker.enqueue(message())
    consumer = consume()
    following(consumer)
    unknown = MessageProxy(message())
    consumer.ack(unknown)
    consumer.nack(unknown)
    consumer.requeue([unknown])
    assert look() == (0, 1, 0, 0)


def test_nack_makes_a_dead_letter(broker: BeanstalkdBroker, consume: Consume, look: Look) -> None:
    broker.enqueue(message())
    consumer = consume()
    consumer.nack(following(consumer))
    assert look() == (0, 0, 0, 0)
    assert look(dead=True) == (1, 0, 0, 0)


def test_job_that_is_no_message_is_a_dead_letter(
    broker: BeanstalkdBroker, client: Client, consume: Consume, look: Look
) -> None:
    client.put_in(broker.queues["default"].tube, b"no message", 0, 0, 60)
    broker.enqueue(message(7))
    assert following(consume()).args == (7,)
    assert look(dead=True) == (1, 0, 0, 0)


def test_requeued_message_is_ready_with_its_priority(
    broker: BeanstalkdBroker, client: Client, consume: Consume, look: Look
) -> None:
    broker.enqueue(message())
    consumer = consume()
    consumer.requeue([following(consumer)])
    assert look() == (1, 0, 0, 0)
    assert client.stats_job(client.peek_ready())["pri"] == 65536
    assert following(consumer).args == ()


def test_close_releases_what_was_not_returned(
    broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    for n in range(3):
        broker.enqueue(message(n))
    consumer = consume()
    received = following(consumer)
    consumer.close()
    assert look() == (2, 1, 0, 0)
    consumer.touch()  # an unfinished message keeps the connection
    consume().ack(received)
    assert look() == (2, 0, 0, 0)
    with pytest.raises(ConnectionClosed):
        next(consumer)


def test_worker_that_ends_releases_its_messages(
    broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    broker.enqueue(message())
    consumer = consume()
    following(consumer)
    consumer._client._sock.shutdown(2)
    wait_until(lambda: look() == (1, 0, 0, 0), "the job is ready")


def test_message_that_ends_its_workers_is_a_dead_letter(
    server: Daemon, broker: BeanstalkdBroker, make_broker: MakeBroker, consume: Consume, look: Look
) -> None:
    broker.enqueue(message())
    for _ in range(2):
        process = make_broker(server, prefix=broker.prefix, max_attempts=2)
        consumer = consume(by=process)
        following(consumer)
        consumer._end()
        wait_until(lambda: look()[1] == 0, "the connection has ended")
    assert look() == (0, 0, 0, 0)
    assert look(dead=True) == (1, 0, 0, 0)


def test_limit_of_attempts_is_the_policy_of_the_tube(
    server: Daemon,
    broker: BeanstalkdBroker,
    make_broker: MakeBroker,
    client: Client,
    consume: Consume,
) -> None:
    queue = broker.queues["default"]
    consume()
    stats = client.stats_tube(queue.tube)
    assert (stats["max-attempts"], stats["dead-tube"]) == (20, queue.dead_tube)
    consume(by=make_broker(server, prefix=broker.prefix, max_attempts=0))
    stats = client.stats_tube(queue.tube)
    assert (stats["max-attempts"], stats["dead-tube"]) == (0, "")


def test_reserve_does_not_wait_while_a_message_is_unfinished(
    broker: BeanstalkdBroker, look: Look
) -> None:
    """An ack of a worker thread would have to wait for it."""
    broker.enqueue(message())
    consumer = broker.consume("default", prefetch=5, timeout=10**6)
    received = following(consumer)
    assert next(consumer) is None
    consumer.ack(received)
    consumer.close()
    assert look() == (0, 0, 0, 0)


# Time to run


def test_touch_begins_the_ttr_again(
    broker: BeanstalkdBroker, client: Client, consume: Consume
) -> None:
    broker.enqueue(message())
    consumer = consume()
    job = following(consumer).job
    wait_until(lambda: client.stats_job(job)["time-left"] < 58, "two seconds have passed")
    consumer.touch()
    assert client.stats_job(job)["time-left"] >= 58


def test_long_message_is_not_delivered_again(
    broker: BeanstalkdBroker,
    client: Client,
    consume: Consume,
    look: Look,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer_module, "TOUCHES_PER_TTR", 20)
    broker.ttr_s = broker.queues["default"].ttr_s = 2
    broker.enqueue(message())
    consumer = consume()
    received = following(consumer)
    touched = client.stats()["cmd-touch"]
    wait_until(lambda: client.stats()["cmd-touch"] > touched + 22, "the TTR has passed")
    assert client.stats_job(received.job)["timeouts"] == 0
    consumer.ack(received)
    assert look() == (0, 0, 0, 0)


def test_message_whose_ttr_ended_is_not_returned_twice(
    broker: BeanstalkdBroker, consume: Consume, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the process was stopped for longer than the TTR."""
    monkeypatch.setattr(consumer_module, "TOUCHES_PER_TTR", 0.001)
    broker.ttr_s = broker.queues["default"].ttr_s = 2
    broker.enqueue(message())
    consumer = consume()
    received = following(consumer)
    wait_until(lambda: look() == (1, 0, 0, 0), "the TTR has ended")
    consumer.touch()
    assert consumer.held() == []
    assert next(consumer) is None
    assert consumer.held() == [received]
    consumer.ack(received)
    assert look() == (0, 0, 0, 0)


def test_message_with_an_eta_is_released_by_close(
    broker: BeanstalkdBroker, consume: Consume, look: Look
) -> None:
    broker.enqueue(message(eta=1))
    consumer = consume()
    following(consumer)
    consumer.close()
    assert look() == (1, 0, 0, 0)


# Refusals


def test_retry_that_cannot_be_enqueued_is_put_back(
    broker: BeanstalkdBroker, client: Client, consume: Consume, look: Look
) -> None:
    """dramatiq logs the error, and acks the message."""
    broker.enqueue(message())
    consumer = consume()
    received = following(consumer)
    client._send_cmd(b"drain on", b"DRAIN")
    with pytest.raises(BrokerError, match="Draining"):
        broker.enqueue(received, delay=7000)
    client._send_cmd(b"drain off", b"DRAIN")
    consumer.ack(received)
    assert look() == (0, 0, 1, 0)
    assert client.stats_job(client.peek_delayed())["delay"] == 7


def test_refused_ack_is_tried_again(
    server: Daemon,
    broker: BeanstalkdBroker,
    consume: Consume,
    look: Look,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a disk that has no space for a small record. dramatiq repeats it after this error."""
    broker.enqueue(message())
    consumer = consume()
    received = following(consumer)
    with monkeypatch.context() as patch:
        patch.setattr(Client, "delete", refuse)
        with pytest.raises(BrokerConnectionError, match="the server refused: OutOfMemory"):
            consumer.ack(received)
    assert consumer.held() == [received]
    consumer.ack(received)
    assert look() == (0, 0, 0, 0)


def test_dead_letter_that_cannot_be_moved_stays_buried(
    broker: BeanstalkdBroker, consume: Consume, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.enqueue(message())
    consumer = consume()
    monkeypatch.setattr(Client, "move_job", refuse)
    consumer.nack(following(consumer))
    assert look() == (0, 0, 0, 1)


def test_full_disk_does_not_keep_a_consumer_from_starting(
    broker: BeanstalkdBroker, consume: Consume, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.enqueue(message())
    monkeypatch.setattr(Client, "set_tube", refuse)
    following(consume())


def refuse(*_: object, **__: object) -> None:
    raise greenstalk.OutOfMemoryError
