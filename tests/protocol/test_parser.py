"""The parser: bytes to commands, however they are split, with bounded memory."""

from __future__ import annotations

import tracemalloc

import pytest
from testkit.memory import allocate_except_probes

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.bodies import LARGE_BODY, MAX_LINE
from beanstalkd_py.protocol.commands import (
    COUNT,
    DELETE,
    OPERATIONS,
    PUT,
    PUT_ABORT,
    PUT_BEGIN,
    PUT_END,
    QUIT,
    REPLY,
    SECOND,
    Command,
)
from beanstalkd_py.protocol.parser import Parser
from beanstalkd_py.queue.memory import MemoryReserve

BAD = (REPLY, replies.BAD_FORMAT)
UNKNOWN = (REPLY, replies.UNKNOWN_COMMAND)
MAX_JOB_SIZE = 10


def commands(*pieces: bytes) -> list[Command]:
    parser = Parser(MAX_JOB_SIZE)
    found = []
    for piece in pieces:
        parser.feed(piece)
        while (command := parser.next_command()) is not None:
            found.append(command)
    return found


def with_whole_puts(found: list[Command]) -> list[Command]:
    """A put counts as one command, whether its body came with it or later."""
    return [
        (PUT, *command[1:]) if command[0] == PUT_END else command
        for command in found
        if command[0] != PUT_BEGIN
    ]


CASES = {
    "two commands": (
        b"delete 7\r\nreserve\r\n",
        [(DELETE, 7), (OPERATIONS["reserve"],)],
    ),
    "put": (b"put 1 2 3 4\r\nbody\r\n", [(PUT, 1, 2 * SECOND, 3 * SECOND, b"body")]),
    "put of an empty body": (b"put 1 0 1 0\r\n\r\n", [(PUT, 1, 0, SECOND, b"")]),
    "put of the largest body": (
        b"put 1 0 1 10\r\n0123456789\r\n",
        [(PUT, 1, 0, SECOND, b"0123456789")],
    ),
    "put with CRLF in the body": (b"put 1 0 1 4\r\na\r\nb\r\n", [(PUT, 1, 0, SECOND, b"a\r\nb")]),
    "TTR of 0 means 1": (b"put 1 0 0 1\r\nx\r\n", [(PUT, 1, 0, SECOND, b"x")]),
    "put too large": (
        b"put 1 0 1 11\r\n01234567890\r\nquit\r\n",
        [(COUNT, PUT), (REPLY, replies.JOB_TOO_BIG), (QUIT,)],
    ),
    "put with more spaces": (b"put  1  0 1 1\r\nx\r\n", [(PUT, 1, 0, SECOND, b"x")]),
    "body without CRLF": (
        b"put 1 0 1 1\r\nxyzquit\r\n",
        [(PUT_ABORT, replies.EXPECTED_CRLF), (QUIT,)],
    ),
    "unknown word": (b"nothing\r\n", [UNKNOWN]),
    "NUL in a line": (b"delete \x001\r\n", [BAD]),
    "number too large": (b"delete 18446744073709551616\r\n", [BAD]),
    "empty line": (b"\r\n", [UNKNOWN]),
    "line of the largest length": (
        b"quit".ljust(MAX_LINE - 2) + b"\r\nquit\r\n",
        [(QUIT,), (QUIT,)],
    ),
    "line too long": (b"quit".ljust(MAX_LINE - 1) + b"\r\nquit\r\n", [BAD, (QUIT,)]),
    "lone CR in a line that is too long": (
        b"x" * (MAX_LINE - 1) + b"\r" + b"x\r\nquit\r\n",
        [BAD, (QUIT,)],
    ),
}


@pytest.mark.parametrize(("stream", "expected"), CASES.values(), ids=CASES)
def test_stream_gives_commands(stream: bytes, expected: list[Command]) -> None:
    assert with_whole_puts(commands(stream)) == expected


@pytest.mark.parametrize(("stream", "expected"), CASES.values(), ids=CASES)
def test_split_does_not_change_commands(stream: bytes, expected: list[Command]) -> None:
    single_bytes = (stream[at : at + 1] for at in range(len(stream)))
    assert with_whole_puts(commands(*single_bytes)) == expected
    for at in range(len(stream)):
        assert with_whole_puts(commands(stream[:at], stream[at:])) == expected


def test_put_in_pieces_begins_before_its_body() -> None:
    assert commands(b"put 1 0 1 2\r\nx", b"y\r\n") == [
        (PUT_BEGIN,),
        (PUT_END, 1, 0, SECOND, b"xy"),
    ]


def test_skipped_body_is_not_kept() -> None:
    parser = Parser(MAX_JOB_SIZE)
    parser.feed(b"put 1 0 1 1000000\r\n")
    assert parser.next_command() == (COUNT, PUT)
    for _ in range(100):
        parser.feed(bytes(10_000))
        assert parser.next_command() is None
        assert parser.buffered == 0
    parser.feed(b"\r\n")
    assert parser.next_command() == (REPLY, replies.JOB_TOO_BIG)


def test_long_line_is_not_kept() -> None:
    parser = Parser(MAX_JOB_SIZE)
    for _ in range(100):
        parser.feed(bytes(1000))
        assert parser.next_command() is None
        assert parser.buffered <= 1


def test_next_line_is_none_within_a_body() -> None:
    parser = Parser(MAX_JOB_SIZE)
    parser.feed(b"put 1 0 1 9\r\nquit\r\n")
    assert parser.next_line == b"put 1 0 1 9"
    assert parser.next_command() == (PUT_BEGIN,)
    assert (parser.next_line, parser.between_commands) == (None, False)


def test_cached_put_line_obeys_a_smaller_limit() -> None:
    line = b"put 5 5 5 11\r\n"
    larger = Parser(11)
    larger.feed(line)
    assert larger.next_command() == (PUT_BEGIN,)
    assert commands(line) == [(COUNT, PUT)]


# --- bodies without memory


class Allocator:
    """Fails from the nth call on."""

    def __init__(self, last: int) -> None:
        self.left = last

    def __call__(self, nbytes: int) -> bytes:
        if not self.left:
            raise MemoryError
        self.left -= 1
        return bytes(nbytes)


def fed(parser: Parser, stream: bytes, nbytes: int) -> list[Command]:
    found = []
    for at in range(0, len(stream), nbytes):
        parser.feed(stream[at : at + nbytes])
        while (command := parser.next_command()) is not None:
            found.append(command)
    return found


def a_put(size: int) -> bytes:
    return b"put 1 0 1 %d\r\n%b\r\nquit\r\n" % (size, bytes(size))


LARGE, PIECE = 4 * LARGE_BODY, 60_000


def test_large_body_without_memory_is_dropped() -> None:
    parser = Parser(LARGE, MemoryReserve(Allocator(0)))
    assert fed(parser, a_put(LARGE), PIECE) == [
        (PUT_BEGIN,),
        (PUT_ABORT, replies.OUT_OF_MEMORY),
        (QUIT,),
    ]


@pytest.mark.parametrize("size", [10, LARGE])
def test_body_is_dropped_while_memory_is_short(size: int) -> None:
    memory = MemoryReserve(Allocator(1))
    memory.release()
    parser = Parser(LARGE, memory)
    memory.hold()
    memory.release()
    assert fed(parser, a_put(size), PIECE if size == LARGE else 16)[1:] == [
        (PUT_ABORT, replies.OUT_OF_MEMORY),
        (QUIT,),
    ]


def test_large_body_is_collected_without_a_copy() -> None:
    parser = Parser(LARGE, MemoryReserve(allocate_except_probes))
    stream = a_put(LARGE)
    tracemalloc.start()
    found = fed(parser, stream, PIECE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [command[0] for command in found] == [PUT_BEGIN, PUT_END, QUIT]
    assert found[1][-1] == bytes(LARGE)
    assert peak < LARGE + LARGE // 8


@pytest.mark.parametrize("size", [LARGE_BODY - 3, LARGE_BODY, LARGE])
def test_body_in_pieces_is_whole(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    stream = b"put 1 0 1 %d\r\n%b\r\nput 1 0 1 %d\r\n%bxx" % (size, body[:size], size, body[:size])
    assert fed(Parser(LARGE), stream, PIECE) == [
        (PUT_BEGIN,),
        (PUT_END, 1, 0, SECOND, body[:size]),
        (PUT_BEGIN,),
        (PUT_ABORT, replies.EXPECTED_CRLF),
    ]
