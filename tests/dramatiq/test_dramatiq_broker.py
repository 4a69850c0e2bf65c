"""What the broker does with messages before a worker has them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import dramatiq
import pytest
from dramatiq.errors import BrokerError, ConnectionFailed, QueueJoinTimeout, QueueNotFound
from dramatiq.message import Message
from testkit.daemon import Daemon
from testkit.start import Start

from beanstalkd_py.dramatiq import BeanstalkdBroker
from beanstalkd_py.dramatiq.client import NEEDED, Client
from tests.dramatiq.conftest import Look, MakeBroker, message
from tests.wire.reference import need_c_server


def test_message_is_a_job(broker: BeanstalkdBroker, client: Client) -> None:
    sent = message(1, 2)
    assert broker.enqueue(sent) is sent
    job = client.peek_ready()
    assert Message.decode(job.body) == sent
    stats = client.stats_job(job)
    assert (stats["tube"], stats["pri"], stats["ttr"], stats["delay"]) == (
        *(broker.queues["default"].tube, 65536),
        *(60, 0),
    )


def test_delay_is_rounded_up_to_seconds(broker: BeanstalkdBroker, client: Client) -> None:
    for delay_ms in (None, 0, -5):
        broker.enqueue(message(), delay=delay_ms)
        assert client.stats_job(client.peek_ready())["delay"] == 0
        broker.flush_all()
    for delay_ms, delay_s in ((9001, 10), (9000, 9), (1001, 2)):
        broker.enqueue(message(), delay=delay_ms)
        assert client.stats_job(client.peek_delayed())["delay"] == delay_s


def test_priority_of_the_actor_is_that_of_the_job(broker: BeanstalkdBroker, client: Client) -> None:
    cases = {0: 65536, -3: 65533, 7: 65543, -(2**40): 0, 2**40: 2**32 - 1}
    for priority, of_job in cases.items():
        name = f"work{priority}"
        dramatiq.actor(lambda: None, actor_name=name, broker=broker, priority=priority).send()
        assert client.stats_job(client.peek_ready())["pri"] == of_job
        broker.flush_all()


def test_undeclared_queue_is_refused(broker: BeanstalkdBroker) -> None:
    for use in broker.consume, broker.flush, broker.join:
        with pytest.raises(QueueNotFound):
            use("other")
    with pytest.raises(QueueNotFound):
        broker.enqueue(message(queue="other"))


def test_queue_is_declared_once(broker: BeanstalkdBroker) -> None:
    queue = broker.queues["default"]
    broker.declare_queue("default")
    assert broker.queues["default"] is queue
    assert broker.get_declared_queues() == {"default"}
    assert broker.get_declared_delay_queues() == set()


def test_queue_whose_tube_would_have_too_long_a_name_is_refused(broker: BeanstalkdBroker) -> None:
    longest = 200 - len(broker.prefix + ".XQ")
    broker.declare_queue("x" * longest)
    with pytest.raises(ValueError, match="longer than 200 bytes"):
        broker.declare_queue("x" * (longest + 1))


def test_ttr_of_one_second_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2, not 1"):
        BeanstalkdBroker(ttr_s=1)


def test_refused_message_is_named(broker: BeanstalkdBroker) -> None:
    with pytest.raises(BrokerError, match=r"\d+.default: .* of 70\d\d\d bytes: JobTooBig"):
        broker.enqueue(message("x" * 70000))
    broker.enqueue(message())
    assert len(broker._free) == 1  # the connection is used again


def test_flush_drops_messages_and_dead_letters(
    broker: BeanstalkdBroker, client: Client, look: Look
) -> None:
    broker.flush_all()  # there is no tube yet
    broker.enqueue(message())
    broker.enqueue(message(), delay=10**6)
    client.put_in(broker.queues["default"].dead_tube, b"", 0, 0, 60)
    client.put_in(f"{broker.prefix}other", b"", 0, 0, 60)
    broker.flush_all()
    assert look() == look(dead=True) == (0, 0, 0, 0)
    assert client.unfinished(f"{broker.prefix}other") == 1


def test_join_waits_for_all_messages(broker: BeanstalkdBroker, client: Client) -> None:
    broker.join("default")
    for delay in (None, 10**6):
        broker.enqueue(message(), delay=delay)
        with pytest.raises(QueueJoinTimeout):
            broker.join("default", interval=1, timeout=5)
        broker.flush_all()
    broker.enqueue(message())
    client.watch(broker.queues["default"].tube)
    job = client.reserve(0)
    with pytest.raises(QueueJoinTimeout):
        broker.join("default", interval=1, timeout=0)
    client.bury(job)  # a dead letter
    broker.join("default")


def test_threads_share_no_connection_at_a_time(broker: BeanstalkdBroker, client: Client) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: broker.enqueue(message(n)), range(200)))
    assert 1 <= len(broker._free) <= 4
    client.watch(broker.queues["default"].tube)
    jobs = client.reserve_batch(500, 0)
    assert sorted(Message.decode(job.body).args for job in jobs) == [(n,) for n in range(200)]


def test_child_process_opens_its_own_connection(broker: BeanstalkdBroker) -> None:
    broker.enqueue(message())
    (of_parent,) = broker._free
    broker._pid -= 1  # as after a fork
    broker.enqueue(message())
    assert of_parent not in broker._free
    assert len(broker._free) == 1


def test_closed_broker_connects_again(broker: BeanstalkdBroker, look: Look) -> None:
    broker.enqueue(message())
    broker.close()
    assert len(broker._free) == 0
    broker.enqueue(message())
    assert look() == (2, 0, 0, 0)


def test_interrupted_command_closes_its_connection(
    broker: BeanstalkdBroker, client: Client
) -> None:
    """The next command would take the reply that was not read for its own."""

    def interrupted(client: Client) -> None:
        client._sock.sendall(b"ping\r\n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broker._ask(interrupted)
    assert len(broker._free) == 0


def test_c_server_is_refused_with_one_line(make_broker: MakeBroker) -> None:
    with Daemon(program=(need_c_server(),)) as server:
        broker = make_broker(server.start())
        with pytest.raises(ConnectionFailed) as refused:
            broker.enqueue(message())
        with pytest.raises(ConnectionFailed):
            broker.consume("default")
    assert str(refused.value) == (
        f"the server at 127.0.0.1:{server.port} has no {', '.join(NEEDED)}: "
        "the broker needs beanstalkd-py, or a newer version of it"
    )


def test_broker_works_over_tcp(make_broker: MakeBroker, start: Start) -> None:
    server = start(at="127.0.0.1")
    broker = make_broker(server, prefix="")
    broker.enqueue(message())
    with Client(server.address) as client:
        assert client.stats_job(1)["tube"] == "default"
    consumer = broker.consume("default")
    assert next(consumer) is not None
    consumer.close()
