"""The runner detects every difference between a transcript and the replies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from judge.cuts import BYTES, WHOLE, every_cut
from judge.runner import Mismatch, play
from judge.transcript import BadTranscript, Expected, Reply, Transcript, World, literal, parse
from testkit.replies import Malformed, split_replies, take_reply

from . import reference
from .engine_peer import EnginePeer
from .selection import played_to


def altered(transcript: Transcript) -> Iterator[tuple[str, Transcript]]:
    """Copies of the transcript, each with one expectation altered. One reply too few or too many in
    each step is enough, because the runner compares the number of replies.
    """
    for number, step in enumerate(transcript.steps):
        for name, expected in step.expected.items():
            for place in range(len(expected.replies)):
                yield (
                    f"reply at {expected.replies[place].line} changed",
                    _with(transcript, number, name, place, _change),
                )
            if expected.replies:
                last = len(expected.replies) - 1
                line = expected.replies[last].line
                yield f"reply at {line} dropped", _with(transcript, number, name, last, _drop)
                yield f"reply at {line} doubled", _with(transcript, number, name, last, _double)
            if expected.eof:
                yield f"end at {step.line} dropped", _with(transcript, number, name, 0, _no_end)


def _with(
    transcript: Transcript,
    step: int,
    name: str,
    place: int,
    change: Callable[[Expected, int], None],
) -> Transcript:
    steps = list(transcript.steps)
    steps[step] = copy.deepcopy(steps[step])
    change(steps[step].expected[name], place)
    return replace(transcript, steps=steps)


def _change(expected: Expected, place: int) -> None:
    text, end = expected.replies[place].parts[-1]
    expected.replies[place].parts[-1] = (text + "x", end)


def _drop(expected: Expected, place: int) -> None:
    del expected.replies[place]


def _double(expected: Expected, place: int) -> None:
    expected.replies.insert(place, expected.replies[place])


def _no_end(expected: Expected, place: int) -> None:
    expected.eof = False


@pytest.mark.parametrize("transcript", played_to("engine"), ids=str)
def test_every_expectation_can_fail(transcript: Transcript) -> None:
    for what, other in altered(transcript):
        with pytest.raises(Mismatch):
            play(other, EnginePeer(transcript.options, WHOLE, half_closes=True))
            pytest.fail(f"{transcript}: {what}, and it was not noticed")


def test_reply_to_another_client_is_detected() -> None:
    (transcript,) = parse("=== t\nB> reserve\nB waits\nA> put 0 0 1 1\nA> x\nA< INSERTED #1\n")
    with pytest.raises(Mismatch, match="B received b'RESERVED 1 1"):
        play(transcript, EnginePeer({}, WHOLE, half_closes=True))


def test_reply_during_a_wait_is_detected() -> None:
    (transcript,) = parse("=== t\nA> reserve-with-timeout 1\nA waits\nwait 1.1\n")
    with pytest.raises(Mismatch, match="A received b'TIMED_OUT"):
        play(transcript, EnginePeer({}, WHOLE, half_closes=True))


def test_consecutive_lines_of_one_client_are_one_block() -> None:
    (transcript,) = parse("=== t\nA> a\nA| b\\r\nA| \\n\nB> c\nA> d\nA waits\nA> e\n")
    assert [(step.name, step.data(World())) for step in transcript.steps] == [
        ("A", b"a\r\nb\r\n"),
        ("B", b"c\r\n"),
        ("A", b"d\r\n"),
        ("A", b"e\r\n"),
    ]


def test_body_belongs_to_its_reply() -> None:
    (transcript,) = parse(
        "=== t\nA> a\nA< RESERVED #1 1\nA< x\nA< OK <int>\nA: ---\nA: - a\nA<\nA< DELETED\n"
    )
    replies = transcript.steps[0].expected["A"].replies
    assert [reply.text() for reply in replies] == [
        "RESERVED #1 1\nx",
        "OK <int>\n---\n- a\n",
        "DELETED",
    ]
    assert replies[0].matches(b"RESERVED 8 1\r\nx\r\n", World(base=7))
    assert replies[1].matches(b"OK 8\r\n---\n- a\n\r\n", World())


def test_escapes() -> None:
    assert (
        literal(r"a\r\n\t\s\0\x00\xff\\\{\#\<{xy*2}#3", World(base=10))
        == b"a\r\n\t \0\0\xff\\{#<xyxy13"
    )


@pytest.mark.parametrize(
    ("text", "world", "data", "matches"),
    [
        ('<">a<">', World(), b'"a"', True),
        ('<">a<">', World(), b"a", False),
        ('<">a<">', World(is_c=True), b"a", True),
        ("<file>", World(), b"0", True),
        ("<file>", World(), b"1", False),
        ("<file>", World(logged=True), b"0", False),
        ("<file>", World(logged=True), b"12", True),
        ("a.c", World(), b"abc", False),
        ("<int>", World(), b"", False),
    ],
)
def test_placeholders(text: str, world: World, data: bytes, matches: bool) -> None:
    assert Reply(1, [(text, b"\r\n")]).matches(data + b"\r\n", world) is matches


@pytest.mark.parametrize(
    "text",
    [
        "A> before any title",
        "=== t\nwhat",
        "=== t\nA> trailing ",
        "=== t\nA< reply to nothing",
        "=== t\nA> a\nA< RESERVED 1 1",
        "=== t\nA> a\nA< OK 3",
        "=== t\nA> a\nA< <unknown>",
        "=== t\nA> \\q",
    ],
)
def test_bad_transcript_is_refused(text: str) -> None:
    with pytest.raises(BadTranscript):
        parse(text)


def test_replies_are_split_only_when_complete() -> None:
    stream = b"INSERTED 1\r\nRESERVED 1 4\r\na\r\nb\r\nOK 4\r\n---\n\r\nUSING a\r\n"
    assert split_replies(stream) == [
        b"INSERTED 1\r\n",
        b"RESERVED 1 4\r\na\r\nb\r\n",
        b"OK 4\r\n---\n\r\n",
        b"USING a\r\n",
    ]
    assert take_reply(b"RESERVED 1 4\r\na\r\nb\r") is None
    assert take_reply(b"INSERT") is None


@pytest.mark.parametrize(
    "stream",
    [
        b"INSERTED\r\n",
        b"\r\n",
        b"inserted 1\r\n",
        b"OK 2\r\nabc\r\n",
        b"FOUND 1 1\r\nx\n\n",
        b"USING \r\n",
        b"x" * 300,
        b"DELETED",
    ],
)
def test_malformed_reply_is_detected(stream: bytes) -> None:
    with pytest.raises(Malformed):
        split_replies(stream)


def test_cuts_cover_every_place_and_lose_nothing() -> None:
    block = bytes(range(100))
    seen = set()
    for cut in every_cut([block], "seed"):
        chunks = cut.chunks(block)
        assert b"".join(chunks) == block
        seen.add(tuple(map(len, chunks)))
    assert {(100,), (1,) * 100, *((place, 100 - place) for place in range(1, 100))} <= seen
    assert BYTES.chunks(b"ab") == [b"a", b"b"]


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_missing_c_server_skips_but_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(reference, "find_c_server", lambda: None)
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="not installed"):
        reference.need_c_server()
