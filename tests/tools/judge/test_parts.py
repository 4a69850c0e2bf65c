"""The parts of the judge that need no server."""

from __future__ import annotations

from random import Random

import pytest
from judge.agenda import NEVER, Agenda
from judge.book import Book
from judge.clock import SECOND
from judge.lines import Lines
from judge.moves import Move, Sequence, Setting
from judge.noise import block
from judge.rules import objection
from judge.shrink import shrink
from judge.transcript import World, literal, parse
from judge.writing import escape, write

from beanstalkd_py.protocol.parser import PUT_BEGIN, Parser

SETTING = Setting()


@pytest.mark.parametrize("seed", range(20))
def test_lines_are_the_commands_of_the_parser(seed: int) -> None:
    rng = Random(seed)
    data = b"".join(block(rng) for _ in range(20))
    parser, lines = Parser(300), Lines(300)
    parser.feed(data)
    expected = []
    while (command := parser.next_command()) is not None:
        expected.append(command)
    found = lines.feed(data[:1000]) + lines.feed(data[1000:])
    # whether a body was there as a whole makes no difference but to the name
    assert [line.command[1:] for line in found if line.command[0] != PUT_BEGIN] == [
        command[1:] for command in expected if command[0] != PUT_BEGIN
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a b",
        b" a ",
        bytes(range(256)),
        b"#1 {x*3} <int> \\",
        b"x" * 300,
        b"1" * 25 + b"2" * 19,
    ],
)
def test_what_is_written_down_means_the_same_bytes(data: bytes) -> None:
    assert literal(escape(data), World()) == data


def test_a_sequence_is_written_as_a_transcript() -> None:
    moves = [
        Move("open", "A"),
        Move("send", "A", b"put 0 0 9 3\r\n\r\n\xff\r\npe"),
        Move("send", "A", b"ek 1 \r\n"),
        Move("wait", seconds=2),
    ]
    told = [
        {},
        {"A": ([b"INSERTED 1\r\n"], [b"INSERTED 1\r\n"])},
        {"A": ([b"NOT_FOUND\r\n"], [b"FOUND 1 3\r\n\r\n\xff\r\n"])},
    ]
    (transcript,) = parse(write("title", SETTING, moves, told))
    assert [step.data(World()) for step in transcript.steps if step.verb == "send"] == [
        move.data for move in moves if move.verb == "send"
    ]
    assert [step.verb for step in transcript.steps] == [move.verb for move in moves]
    assert [
        len(expected.replies) for step in transcript.steps for expected in step.expected.values()
    ] == [1, 1]


def sends(*lines: bytes) -> list[Move]:
    return [Move("send", "A", line + b"\r\n") for line in lines]


def test_a_sequence_is_shortened_to_what_is_needed() -> None:
    noise = [b"stats"] * 20
    moves = sends(
        *noise,
        b"put 0 0 1 3\r\nabc",
        *noise,
        b"use a\r\nput 0 0 1 5\r\nhello\r\nuse b",
        *noise,
        b"delete 2",
        *noise,
    )

    def differs(sequence: Sequence) -> bool:
        """The last put is deleted by its id."""
        said = b"".join(move.data for move in sequence.moves)
        return said.count(b"put ") > 0 and said.endswith(b"delete %d\r\n" % said.count(b"put "))

    assert shrink(Sequence(SETTING, moves[:-20]), differs).moves == sends(
        b"put 0 0 1 1", b"delete 1"
    )


def told(book: Book, name: str, data: bytes, *replies: bytes) -> None:
    if name not in book.clients:
        book.opens(name)
    book.sends(name, data)
    for reply in replies:
        book.hears(name, reply + b"\r\n")


def test_the_book_knows_who_waits_for_what() -> None:
    book = Book(65535)
    told(
        book,
        "A",
        b"watch a\r\nignore default\r\nreserve\r\nwatch b\r\n",
        b"WATCHING 2",
        b"WATCHING 1",
    )
    told(book, "B", b"reserve-with-timeout 0\r\n")
    told(book, "C", b"put 0 0 1 5\r\nhel")
    a, b, c = book.clients.values()
    assert (a.waits, a.owed, a.reach) == (True, 0, {b"a", b"b"})
    assert (b.waits, b.owed, b.reach) == (False, 1, frozenset())
    assert (c.waits, c.owed, c.lines.missing) == (False, 0, 4)
    assert not book.crowded()
    told(book, "D", b"watch b\r\nreserve-with-timeout 1\r\n", b"WATCHING 2")
    assert book.crowded()
    told(book, "A", b"", b"RESERVED 7 0\r\n", b"WATCHING 2")
    assert (a.held, a.watched, a.pending) == ([7], [b"a", b"b"], a.pending.__class__())


@pytest.mark.parametrize(
    ("said", "move", "objects"),
    [
        (b"reserve\r\n", Move("close", "A"), False),
        (b"reserve\r\nstats\r\n", Move("close", "A"), True),
        (b"reserve\r\nstats\r\n", Move("shutdown", "A"), False),
        (b"reserve\r\n", Move("send", "B", b"reserve\r\n"), True),
        (b"reserve\r\n", Move("send", "B", b"reserve-with-timeout 0\r\n"), False),
        (b"watch b\r\nignore default\r\nreserve\r\n", Move("send", "B", b"reserve\r\n"), True),
        (b"reserve\r\nstats\r\n", Move("send", "B", b"stats\r\n"), False),
        (b"reserve\r\nstats\r\n", Move("send", "B", b"stats\r\nstats\r\n"), True),
        (b"", Move("send", "B", b"release 1 0 9\r\nrelease 2 0 9\r\n"), True),
        (b"", Move("send", "B", b"release 1 0 9\r\nrelease 2 0 8\r\n"), False),
        (b"", Move("send", "B", b"put 0 9 1 0\r\n\r\nput 0 9 1 0\r\n\r\n"), False),
        (b"reserve\r\n", Move("send", "A", b"x" * 20_000), True),
    ],
)
def test_what_depends_on_chance_is_not_said(said: bytes, move: Move, objects: bool) -> None:
    book = Book(65535)
    told(book, "A", said)
    told(book, "B", b"")
    assert bool(objection(book, SETTING, move)) is objects


class Hands:
    now = 0


def test_time_stops_at_every_instant_at_which_something_may_be_due() -> None:
    agenda = Agenda(Hands())
    agenda.after(5 * SECOND)
    agenda.after(10**6 * SECOND)
    agenda.ttr(3 * SECOND)
    agenda.a_ttr_begins()
    stops = []
    while (at := agenda.next_at) != NEVER:
        stops.append(at // SECOND)
        Hands.now = at
    assert stops == [1, 2, 3, 5]
