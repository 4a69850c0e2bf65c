"""Runs of known commands: what a pipelining client sends gives the same commands as in pieces."""

from __future__ import annotations

import pytest

from beanstalkd_py.protocol import known, parser, replies
from beanstalkd_py.protocol.commands import DELETE, OPERATIONS, PUT, SECOND, Command
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.known import ID_DIGITS, RUN_BODY, RUN_BYTES, run_of_commands
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.protocol.trace import TracingSession
from beanstalkd_py.queue.queue import Queue

RESERVE = OPERATIONS["reserve"]
MAX_JOB_SIZE = 1000
STREAM = b"put 1 0 1 2\r\nab\r\nreserve\r\ndelete 7\r\nput 1 0 1 2\r\n\r\n\r\n"
COMMANDS: list[Command] = [
    (PUT, 1, 0, SECOND, b"ab"),
    (RESERVE,),
    (DELETE, 7),
    (PUT, 1, 0, SECOND, b"\r\n"),
]


def commands(*pieces: bytes) -> list[Command]:
    """What a session would execute."""
    whole = Parser(MAX_JOB_SIZE, runs=True)
    found: list[Command] = []
    for piece in pieces:
        whole.feed(piece)
        while (command := whole.next_command()) is not None:
            found += [command, *whole.ahead]
    return found


@pytest.fixture(autouse=True)
def known_puts() -> None:
    for size in (2, RUN_BODY, RUN_BODY + 1):
        commands(b"put 1 0 1 %d\r\n%b\r\n" % (size, bytes(size)))


def test_run_is_taken_at_once() -> None:
    stream = b"delete 1\r\n" * 5 + b"put 1 0 1 2\r\nab\r\n" + b"reserve\r\n"
    expected = [*[(DELETE, 1)] * 5, (PUT, 1, 0, SECOND, b"ab"), (RESERVE,)]
    assert run_of_commands(stream, 0, 2) == (expected, len(stream))
    assert run_of_commands(stream, 10, 2) == (expected[1:], len(stream))


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"reserve",
        b"reserve\r",
        b"put 1 0 1 2",
        b"put 1 0 1 2\r\n",
        b"put 1 0 1 2\r\nab",
        b"put 1 0 1 2\r\nab\r",
        b"put 1 0 1 2\r\nabc\r\n",  # no CRLF after the body
        b"put 1 0 1 2\r\na\r\n\r\n",
        b"put 1 0 1 2\r\n\r\n\r\n",  # a CRLF in the body
        b"put 1 0 1 3\r\nabc\r\n",  # no known line
        b"put 1 0 1 %d\r\n%b\r\n" % (RUN_BODY + 1, bytes(RUN_BODY + 1)),
        b"reserve \r\n",
        b"delete  1\r\n",
        b"delete 1x\r\n",
        b"delete " + b"1" * (ID_DIGITS + 1) + b"\r\n",
        b"\r\n",
    ],
)
def test_run_ends_before(end: bytes) -> None:
    start = b"reserve\r\n" + b"put 1 0 1 2\r\nab\r\n"
    expected = [(RESERVE,), (PUT, 1, 0, SECOND, b"ab")]
    assert run_of_commands(start + end, 0, MAX_JOB_SIZE) == (expected, len(start))


def test_run_ends_before_a_body_above_the_limit() -> None:
    assert run_of_commands(b"put 1 0 1 2\r\nab\r\n", 0, 1) == ([], 0)


def test_body_of_a_run_has_a_limit() -> None:
    stream = b"put 1 0 1 %d\r\n%b\r\n" % (RUN_BODY, bytes(RUN_BODY))
    assert run_of_commands(stream, 0, MAX_JOB_SIZE) == (
        [(PUT, 1, 0, SECOND, bytes(RUN_BODY))],
        len(stream),
    )


def test_run_of_a_long_buffer_is_bounded() -> None:
    found, end = run_of_commands(b"reserve\r\n" * RUN_BYTES, 0, MAX_JOB_SIZE)
    assert len(found) == RUN_BYTES // len(b"reserve\r\n")
    assert end == len(found) * len(b"reserve\r\n")


@pytest.mark.parametrize("times", [1, 3, 300])
def test_cut_does_not_change_commands(times: int) -> None:
    stream = STREAM * times
    assert commands(stream) == COMMANDS * times
    for at in range(0, len(stream), 1 if times < 9 else 97):
        bodies = [each[-1] for each in commands(stream[:at], stream[at:]) if len(each) > 4]
        assert [body for body in bodies if body] == [b"ab", b"\r\n"] * times


@pytest.mark.sources
def test_run_without_memory_is_parsed_singly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr(parser, "run_of_commands", fail)
    assert commands(STREAM) == COMMANDS


@pytest.mark.sources
def test_known_put_lines_are_bounded() -> None:
    stream = b"".join(b"put %d 0 1 0\r\n\r\n" % pri for pri in range(3 * known.KNOWN_MAX))
    assert len(commands(stream + b"reserve\r\n")) == 3 * known.KNOWN_MAX + 1
    assert len(known.KNOWN) <= known.KNOWN_MAX
    assert known._EXACT.items() <= known.KNOWN.items()


# --- sessions


@pytest.fixture
def session() -> Session:
    return Session(Dispatcher(Queue()))


PUTS = b"put 1 0 1 2\r\nab\r\n" * 3


def test_commands_after_a_reserve_that_waits_come_later(session: Session) -> None:
    other = Session(session.dispatcher)
    rest = b"list-tube-used\r\n" * 3
    session.receive(b"list-tube-used\r\n" * 2 + b"reserve\r\n" + rest, 0)
    assert session.take_output() == b"USING default\r\n" * 2
    assert len(rest) <= session.parser.buffered <= len(b"list-tube-used\r\nreserve\r\n" + rest)
    session.receive(b"quit\r\n", 0)
    assert session.take_output() == b""
    other.receive(PUTS, 0)
    Session.settle(session.dispatcher, 0)
    assert session.take_output() == b"RESERVED 1 2\r\nab\r\n" + b"USING default\r\n" * 3
    assert session.closed
    assert session.parser.buffered == 0


def test_commands_after_quit_are_not_executed(session: Session) -> None:
    session.receive(PUTS + b"quit\r\n" + PUTS, 0)
    assert session.take_output() == b"INSERTED 1\r\nINSERTED 2\r\nINSERTED 3\r\n"
    assert session.closed


def test_output_limit_holds_a_run(session: Session) -> None:
    session.dispatcher.output_limit = 30  # bytes
    session.receive(b"list-tube-used\r\n" * 5, 0)
    outputs = []
    while session.held:
        outputs.append(session.take_output())
        assert session.run(0) is not session.held
    assert outputs == [b"USING default\r\n" * 3]
    assert session.take_output() == b"USING default\r\n" * 2


def test_reply_to_a_run_is_in_order(session: Session) -> None:
    session.receive(PUTS + b"delete 2\r\ndelete 2\r\nreserve\r\n", 0)
    assert session.take_output() == (
        b"INSERTED 1\r\nINSERTED 2\r\nINSERTED 3\r\nDELETED\r\n"
        + replies.NOT_FOUND
        + b"RESERVED 1 2\r\nab\r\n"
    )


def test_trace_shows_each_command_of_a_client_that_pipelines() -> None:
    lines: list[str] = []
    traced = TracingSession(Dispatcher(Queue()), None, 7, lines.append)
    traced.receive(PUTS + b"delete 2\r\nreserve\r\n", 0)
    assert lines == [f"<7 command {word}" for word in ("put ",) * 3 + ("delete ", "reserve")]
