"""The dispatcher: requests to the queue, outcomes to reply bytes, commands counted."""

from __future__ import annotations

import pytest

from beanstalkd_py.protocol.dispatch import LONG_BODY, Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.outcome import Outcome
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import LogSnapshot, ProcessSnapshot

SECOND = 1_000_000_000
NOW = 1000 * SECOND


class Full:
    """A journal without headroom."""

    def put(self, *arguments: object) -> None:
        return None

    def change(self, *arguments: object) -> bool:
        return False

    delete = pause = change


def say(session: Session, stream: bytes, now: int = NOW) -> bytes:
    session.receive(stream, now)
    return session.take_output()


@pytest.fixture
def dispatcher() -> Dispatcher:
    return Dispatcher(Queue())


@pytest.fixture
def session(dispatcher: Dispatcher) -> Session:
    return Session(dispatcher)


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (Outcome.NOT_FOUND, b"NOT_FOUND\r\n"),
        (Outcome.NO_HEADROOM, b"OUT_OF_MEMORY\r\n"),
        (Outcome.DEADLINE_SOON, b"DEADLINE_SOON\r\n"),
        (Outcome.TIMED_OUT, b"TIMED_OUT\r\n"),
    ],
)
def test_reserve_outcome_becomes_reply(session: Session, outcome: Outcome, reply: bytes) -> None:
    assert session.dispatcher.reserved(session.client, NOW, outcome) == reply


@pytest.mark.parametrize(
    "line",
    [
        b"put 0 0 1 1\r\nx", b"delete 1", b"release 2 0 0", b"bury 2 0", b"kick 1", b"kick-job 1",
        b"reserve-job 1", b"pause-tube default 1",
    ],
)  # fmt: skip
def test_change_without_headroom_is_out_of_memory(session: Session, line: bytes) -> None:
    say(session, b"put 0 0 9 1\r\na\r\nreserve\r\nbury 1 0\r\nput 0 0 9 1\r\nb\r\nreserve\r\n")
    session.dispatcher.queue.journal = Full()  # type: ignore[assignment]
    assert say(session, line + b"\r\n") == b"OUT_OF_MEMORY\r\n"


def test_draining_queue_refuses_puts(session: Session) -> None:
    session.dispatcher.queue.draining = True
    assert say(session, b"put 0 0 1 1\r\nx\r\n") == b"DRAINING\r\n"


def test_aborted_put_leaves_no_upload(session: Session) -> None:
    say(session, b"put 0 0 1 1\r\nxyz")
    assert session.client.upload_id == 0
    assert say(session, b"put 0 0 1 1\r\nx\r\n") == b"INSERTED 2\r\n"


def test_put_in_pieces_keeps_the_id_of_its_line(session: Session, dispatcher: Dispatcher) -> None:
    other = Session(dispatcher)
    assert say(session, b"put 0 0 1 1\r\n") == b""
    assert say(other, b"put 0 0 1 1\r\nx\r\n") == b"INSERTED 2\r\n"
    assert say(session, b"y\r\n", NOW + SECOND) == b"INSERTED 1\r\n"
    assert dispatcher.queue.jobs[1].created_at == NOW


def test_every_counted_command_counts_once(session: Session) -> None:
    say(session, b"put 0 0 1 1\r\nx\r\nput 0 0 1 1\r\n")
    say(session, b"y\r\nput 0 0 1 70000\r\n" + bytes(70000) + b"\r\nput 0 0 1 1 \r\nkick-job 1\r\n")
    reply = say(session, b"stats\r\n")
    assert b"\ncmd-put: 4\n" in reply
    assert b"\ncmd-stats: 1\n" in reply
    assert b"kick-job" not in reply


def test_stats_shows_process_and_log() -> None:
    dispatcher = Dispatcher(
        Queue(),
        max_job_size=5,
        binlog_max_size=6,
        process=lambda: ProcessSnapshot(pid=7),
        log=lambda: LogSnapshot(current_segment=8),
    )
    reply = say(Session(dispatcher), b"stats\r\n")
    for line in (b"max-job-size: 5", b"binlog-max-size: 6", b"pid: 7", b"binlog-current-index: 8"):
        assert b"\n%b\n" % line in reply


def test_stats_without_a_binlog_shows_zeros(session: Session) -> None:
    assert b"\nbinlog-current-index: 0\n" in say(session, b"stats\r\n")


def test_quit_closes_and_waiting_does_not(session: Session, dispatcher: Dispatcher) -> None:
    assert say(session, b"reserve\r\nquit\r\n") == b""
    assert not session.closed and session.client.waiting
    say(Session(dispatcher), b"put 0 0 1 1\r\nx\r\n")
    assert Session.settle(dispatcher, NOW) == [session]
    assert session.take_output() == b"RESERVED 1 1\r\nx\r\n"
    assert session.closed


@pytest.mark.parametrize(
    "command", [b"reserve", b"reserve-with-timeout 0", b"peek 1", b"peek-ready"]
)
def test_long_body_is_not_copied_into_its_reply(command: bytes) -> None:
    session = Session(Dispatcher(Queue(), max_job_size=1 << 20))
    body = bytes(LONG_BODY + 1)
    say(session, b"put 0 0 1 %d\r\n%b\r\n" % (len(body), body))
    session.receive(b"list-tube-used\r\n" + command + b"\r\nkick 1\r\n", NOW)
    pieces = []
    while session.output:
        pieces.append(session.take_output())
    word = b"FOUND" if command.startswith(b"peek") else b"RESERVED"
    line = b"USING default\r\n%b 1 %d\r\n" % (word, len(body))
    assert pieces[0] == line
    assert pieces[1] is session.dispatcher.queue.jobs[1].body
    assert pieces[2:] == [b"\r\n"]
    assert session.held
    session.run(NOW)
    assert session.take_output() == b"KICKED 0\r\n"


def test_waiting_client_gets_a_long_body_without_a_copy() -> None:
    dispatcher = Dispatcher(Queue(), max_job_size=1 << 20)
    worker, producer = Session(dispatcher), Session(dispatcher)
    assert say(worker, b"reserve\r\nkick 1\r\n") == b""
    body = bytes(LONG_BODY + 1)
    say(producer, b"put 0 0 1 %d\r\n%b\r\n" % (len(body), body))
    assert Session.settle(dispatcher, NOW) == [worker]
    assert worker.take_output() == b"RESERVED 1 %d\r\n" % len(body)
    assert worker.take_output() is dispatcher.queue.jobs[1].body
    assert worker.take_output() == b"\r\n"
    assert not worker.output
