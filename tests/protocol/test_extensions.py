"""What transcripts cannot show of the extension commands: long bodies, and what they cost."""

from __future__ import annotations

from beanstalkd_py.protocol.answers import LONG_BODY
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.extensions import SLICE_LISTED
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue


def ask(session: Session, data: bytes) -> bytes:
    session.receive(data, 0)
    replies = b""
    while session.output or session.held:
        replies += session.take_output()
        if session.held:
            session.run(0)
    return replies


def test_batch_has_long_bodies_in_their_place() -> None:
    session = Session(Dispatcher(Queue(), max_job_size=LONG_BODY + 1))
    long = b"x" * (LONG_BODY + 1)
    ask(session, b"put 0 0 60 1\r\na\r\nput 0 0 60 %d\r\n%b\r\n" % (len(long), long))
    expected = b"RESERVED_BATCH 2\r\nRESERVED 1 1\r\na\r\nRESERVED 2 %d\r\n%b\r\n"
    assert ask(session, b"reserve-batch 3 0\r\n") == expected % (len(long), long)


def test_tube_of_a_refused_put_is_not_created() -> None:
    queue = Queue()
    session = Session(Dispatcher(queue))
    queue.memory.set_limit(100)
    assert ask(session, b"put-in-tube new 0 0 60 1\r\na\r\n") == b"OUT_OF_MEMORY\r\n"
    assert list(queue.tubes) == [b"default"]


def test_long_list_is_made_in_slices() -> None:
    dispatcher = Dispatcher(Queue())
    sessions = [Session(dispatcher) for _ in range(2 * SLICE_LISTED + 5)]
    client = sessions[0]
    client.receive(b"list-connections\r\nping\r\n", 0)
    assert client.held and not client.output
    sessions[-1].lost(0)  # it is not in the list then
    client.run(0)
    assert client.held and not client.output
    client.run(0)
    reply = client.take_output()
    assert reply.endswith(b"\r\nPONG\r\n")
    assert reply.count(b"\n- id: ") == 2 * SLICE_LISTED + 4


def test_end_of_a_connection_ends_its_list() -> None:
    dispatcher = Dispatcher(Queue())
    client, *_ = [Session(dispatcher) for _ in range(SLICE_LISTED + 5)]
    client.receive(b"list-connections\r\n", 0)
    client.lost(0)
    client.run(0)
    assert client.client.unfinished is None and not client.output


def test_batch_ends_with_the_body_that_fills_it() -> None:
    session = Session(Dispatcher(Queue()))
    large = b"put 0 0 60 65535\r\n" + b"x" * 65535 + b"\r\n"
    ask(session, large * 4 + b"put 0 0 60 4\r\nlast\r\nput 0 0 60 1\r\nz\r\n")
    assert ask(session, b"reserve-batch 6 0\r\n").startswith(b"RESERVED_BATCH 5\r\n")
    batch = b"RESERVED_BATCH 1\r\nRESERVED 6 1\r\nz\r\n"
    assert ask(session, b"reserve-batch 6 0\r\n") == batch
