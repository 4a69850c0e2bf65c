"""The command table: every row is complete, and what is derived from the rows agrees with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from beanstalkd_py.protocol.commands import (
    C_COMMANDS,
    COMMANDS,
    COUNTERS,
    CURSOR,
    EXTENSION_COUNTERS,
    EXTENSIONS,
    HANDLERS,
    OPERATIONS,
    PREFIXES,
    PUT_BEGIN,
    Argument,
    Form,
    Row,
)
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.protocol.extensions import Extensions
from beanstalkd_py.protocol.lines import BAD_FORMAT, UNKNOWN, parse_line, word_of
from beanstalkd_py.queue.queue import Queue

TRANSCRIPTS = Path(__file__).parents[1] / "wire" / "transcripts"


def rows(row: Row) -> str:
    return row.name


@pytest.mark.parametrize("row", COMMANDS, ids=rows)
def test_row_has_a_handler(row: Row) -> None:
    handler = Dispatcher(Queue()).handlers[OPERATIONS[row.name]]
    owner = Extensions if row in EXTENSIONS else Dispatcher
    assert type(handler.__self__) is owner and handler.__name__ == row.handler


@pytest.mark.parametrize("row", COMMANDS, ids=rows)
def test_row_has_a_counter_or_a_reason(row: Row) -> None:
    counters = EXTENSION_COUNTERS if row in EXTENSIONS else COUNTERS
    assert ((f"cmd-{row.name}", OPERATIONS[row.name]) in counters) is not bool(row.not_counted)


@pytest.mark.parametrize("row", COMMANDS, ids=rows)
def test_row_has_a_transcript(row: Row) -> None:
    word = row.word.decode().rstrip()
    lines = (line for path in TRANSCRIPTS.glob("*.wire") for line in path.read_text().split("\n"))
    assert any(word in line.replace("|", " ").split() for line in lines)


@pytest.mark.parametrize("row", C_COMMANDS, ids=rows)
def test_word_is_not_hidden_by_a_shorter_one(row: Row) -> None:
    assert word_of(row.word + b"1") == row.word.decode()
    words = [word for word, _ in PREFIXES]
    before = words[: words.index(row.word)]
    assert not any(row.word.startswith(word) for word in before)


def example(argument: Argument) -> bytes:
    if argument == CURSOR:
        return b"7.7"
    return argument.words[0] if argument.words else b"7" if argument.most else b"a"


@pytest.mark.parametrize("row", [row for row in COMMANDS if row.name != "put"], ids=rows)
def test_well_formed_line_becomes_its_operation(row: Row) -> None:
    arguments = b" ".join(map(example, row.arguments))
    line = row.word.rstrip() + (b" " + arguments if arguments else b"")
    is_settings = row.form is Form.SETTINGS
    command = parse_line(line + b" dead-tube=a" if is_settings else line)
    assert command[0] == OPERATIONS[row.name]
    has_settings = is_settings or row.form is Form.OPTIONS
    assert len(command) == 1 + len(row.arguments) + has_settings


@pytest.mark.parametrize("row", EXTENSIONS, ids=rows)
def test_only_the_whole_word_is_an_extension(row: Row) -> None:
    name = row.name.encode()
    assert word_of(name + b" 1" if row.arguments else name) == row.word.decode()
    longer = name + b"-and-more"
    assert parse_line(longer) in (UNKNOWN, BAD_FORMAT)  # as in the C server
    assert word_of(longer) not in (row.word.decode(), row.name)


def test_events_follow_the_commands() -> None:
    assert PUT_BEGIN == len(COMMANDS)
    assert len(HANDLERS) == len(set(HANDLERS)) == len(COMMANDS) + 8


def test_counters_stand_in_the_order_of_stats() -> None:
    assert [key for key, _ in COUNTERS][:3] == ["cmd-put", "cmd-peek", "cmd-peek-ready"]
    assert len(COUNTERS) == 22 and COUNTERS[-1][0] == "cmd-pause-tube"
