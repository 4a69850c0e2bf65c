"""What transcripts cannot show of the extension commands: long bodies, and what they cost."""

from __future__ import annotations

from beanstalkd_py.protocol.answers import LONG_BODY
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue


def ask(session: Session, data: bytes) -> bytes:
    session.receive(data, 0)
    replies = b""
    while session.has_output or session.held:
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
