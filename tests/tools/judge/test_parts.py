"""The parts of the judge that need no server."""

from __future__ import annotations

from random import Random

import pytest
from judge.actions import Action, Sequence, Setting
from judge.clock import SECOND
from judge.constraints import violation
from judge.deadlines import NEVER, Deadlines
from judge.lines import Lines
from judge.malformed import block
from judge.mixing import Mixer, without_extensions
from judge.shrink import shrink
from judge.tracker import UNANSWERED, Tracker
from judge.transcript import World, literal, parse
from judge.transcript_writer import escape, write

from beanstalkd_py.protocol.commands import PUT_BEGIN, PUT_END, USE
from beanstalkd_py.protocol.parser import Parser

SETTING = Setting()


@pytest.mark.parametrize("seed", range(20))
def test_lines_match_the_commands_of_the_parser(seed: int) -> None:
    rng = Random(seed)
    data = b"".join(block(rng) for _ in range(20))
    parser, lines = Parser(300), Lines(300)
    parser.feed(data)
    expected = []
    while (command := parser.next_command()) is not None:
        expected.append(command)
    found = lines.feed(data[:1000]) + lines.feed(data[1000:])
    # Only the kind of a put depends on whether its body arrived in one piece.
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
def test_escaped_text_means_the_same_bytes(data: bytes) -> None:
    assert literal(escape(data), World()) == data


@pytest.mark.parametrize("seed", range(10))
def test_mixer_adds_commands_between_others(seed: int) -> None:
    rng = Random(seed)
    data = b"".join(block(rng) for _ in range(10))
    mixer = Mixer(f"{seed}", 300)
    rest = b"".join(mixer.send(data[at : at + 40]) for at in range(0, len(data), 40))
    for line in mixer.mixed:
        before, found, rest = rest.partition(line + b"\r\n")
        assert found and data.startswith(before)
        data = data[len(before) :]
    assert data == rest and mixer.mixed


def test_mixer_takes_out_the_replies_to_its_commands() -> None:
    mixer = Mixer("a seed", 300)
    sent = mixer.send(b"use a\r\nput 0 0 60 1\r\nx\r\n" * 50)
    answered = [line.command[0] for line in Lines(300).feed(sent)]
    replies = {USE: b"USING a\r\n", PUT_END: b"INSERTED 1\r\n"}
    taken = [
        mixer.take(replies.get(each, b"PONG\r\n")) for each in answered if each not in UNANSWERED
    ]
    assert [reply for reply in taken if reply] == list(replies.values()) * 50
    assert len(taken) == 100 + len(mixer.mixed)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"OK 28\r\n---\nkicks: 0\nkey: abcdefgh\n\r\n", b"OK 13\r\n---\nkicks: 0\n\r\n"),
        (b"OK 13\r\n---\nkicks: 0\n\r\n", b"OK 13\r\n---\nkicks: 0\n\r\n"),
        (b"OK 12\r\n---\n- kicks\n\r\n", b"OK 12\r\n---\n- kicks\n\r\n"),
        (b"FOUND 1 13\r\n\nkicks: 0\nx\r\n", b"FOUND 1 13\r\n\nkicks: 0\nx\r\n"),
    ],
)
def test_keys_behind_those_of_the_c_server_are_cut_off(reply: bytes, expected: bytes) -> None:
    assert without_extensions(reply) == expected


def test_sequence_is_written_as_a_transcript() -> None:
    actions = [
        Action("open", "A"),
        Action("send", "A", b"put 0 0 9 3\r\n\r\n\xff\r\npe"),
        Action("send", "A", b"ek 1 \r\n"),
        Action("wait", seconds=2),
    ]
    replies = [
        {},
        {"A": ([b"INSERTED 1\r\n"], [b"INSERTED 1\r\n"])},
        {"A": ([b"NOT_FOUND\r\n"], [b"FOUND 1 3\r\n\r\n\xff\r\n"])},
    ]
    (transcript,) = parse(write("title", SETTING, actions, replies))
    assert [step.data(World()) for step in transcript.steps if step.verb == "send"] == [
        action.data for action in actions if action.verb == "send"
    ]
    assert [step.verb for step in transcript.steps] == [action.verb for action in actions]
    assert [
        len(expected.replies) for step in transcript.steps for expected in step.expected.values()
    ] == [1, 1]


def send_actions(*lines: bytes) -> list[Action]:
    return [Action("send", "A", line + b"\r\n") for line in lines]


def test_sequence_is_shortened_to_the_minimum() -> None:
    unneeded = [b"stats"] * 20
    actions = send_actions(
        *unneeded,
        b"put 0 0 1 3\r\nabc",
        *unneeded,
        b"use a\r\nput 0 0 1 5\r\nhello\r\nuse b",
        *unneeded,
        b"delete 2",
        *unneeded,
    )

    def differs(sequence: Sequence) -> bool:
        """The last job is deleted by its id."""
        data = b"".join(action.data for action in sequence.actions)
        return data.count(b"put ") > 0 and data.endswith(b"delete %d\r\n" % data.count(b"put "))

    assert shrink(Sequence(SETTING, actions[:-20]), differs).actions == send_actions(
        b"put 0 0 1 1", b"delete 1"
    )


def exchange(tracker: Tracker, name: str, data: bytes, *replies: bytes) -> None:
    if name not in tracker.clients:
        tracker.opened(name)
    tracker.sent(name, data)
    for reply in replies:
        tracker.received(name, reply + b"\r\n")


def test_the_book_knows_who_waits_for_what() -> None:
    tracker = Tracker(65535)
    exchange(
        tracker,
        "A",
        b"watch a\r\nignore default\r\nreserve\r\nwatch b\r\n",
        b"WATCHING 2",
        b"WATCHING 1",
    )
    exchange(tracker, "B", b"reserve-with-timeout 0\r\n")
    exchange(tracker, "C", b"put 0 0 1 5\r\nhel")
    a, b, c = tracker.clients.values()
    assert (a.is_waiting, a.replies_due, a.waiting_tubes) == (True, 0, {b"a", b"b"})
    assert (b.is_waiting, b.replies_due, b.waiting_tubes) == (False, 1, frozenset())
    assert (c.is_waiting, c.replies_due, c.lines.missing) == (False, 0, 4)
    assert not tracker.is_tube_shared()
    exchange(tracker, "D", b"watch b\r\nreserve-with-timeout 1\r\n", b"WATCHING 2")
    assert tracker.is_tube_shared()
    exchange(tracker, "A", b"", b"RESERVED 7 0\r\n", b"WATCHING 2")
    assert (a.reserved, a.watched, a.pending) == ([7], [b"a", b"b"], a.pending.__class__())


@pytest.mark.parametrize(
    ("sent", "action", "forbidden"),
    [
        (b"reserve\r\n", Action("close", "A"), False),
        (b"reserve\r\nstats\r\n", Action("close", "A"), True),
        (b"reserve\r\nput 0 0 1 9\r\n", Action("close", "A"), True),
        (b"put 0 0 1 9\r\n", Action("close", "A"), False),
        (b"reserve\r\nstats\r\n", Action("shutdown", "A"), False),
        (b"reserve\r\n", Action("send", "B", b"reserve\r\n"), True),
        (b"reserve\r\n", Action("send", "B", b"reserve-with-timeout 0\r\n"), False),
        (b"watch b\r\nignore default\r\nreserve\r\n", Action("send", "B", b"reserve\r\n"), True),
        (b"reserve\r\nstats\r\n", Action("send", "B", b"stats\r\n"), False),
        (b"reserve\r\nstats\r\n", Action("send", "B", b"stats\r\nstats\r\n"), True),
        (b"", Action("send", "B", b"release 1 0 9\r\nrelease 2 0 9\r\n"), True),
        (b"", Action("send", "B", b"release 1 0 9\r\nrelease 2 0 8\r\n"), False),
        (b"", Action("send", "B", b"put 0 9 1 0\r\n\r\nput 0 9 1 0\r\n\r\n"), False),
        (b"reserve\r\n", Action("send", "A", b"x" * 20_000), True),
    ],
)
def test_actions_that_depend_on_timing_are_excluded(
    sent: bytes, action: Action, forbidden: bool
) -> None:
    tracker = Tracker(65535)
    exchange(tracker, "A", sent)
    exchange(tracker, "B", b"")
    assert bool(violation(tracker, SETTING, action)) is forbidden


class FakeClock:
    now = 0


def test_clock_stops_at_every_deadline() -> None:
    deadlines = Deadlines(FakeClock())
    deadlines.add(5 * SECOND)
    deadlines.add(10**6 * SECOND)
    deadlines.add_ttr(3 * SECOND)
    deadlines.ttr_started()
    stops = []
    while (at := deadlines.next_at) != NEVER:
        stops.append(at // SECOND)
        FakeClock.now = at
    assert stops == [1, 2, 3, 5]


def test_clock_stops_for_a_job_that_was_reserved_before_the_reply_to_its_put() -> None:
    deadlines = Deadlines(FakeClock())
    FakeClock.now = 0
    deadlines.ttr_started()
    deadlines.add_ttr(3 * SECOND)
    stops = []
    while (at := deadlines.next_at) != NEVER:
        stops.append(at // SECOND)
        FakeClock.now = at
    assert stops == [1, 2, 3]
