"""Lines to commands: words, numbers at their limits, names."""

from __future__ import annotations

import pytest

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.commands import (
    COUNTED_REPLY,
    OPERATIONS,
    PAUSE_TUBE,
    PUT,
    REPLY,
    SECOND,
    Command,
)
from beanstalkd_py.protocol.lines import parse_line, parse_put, word_of

BAD = (REPLY, replies.BAD_FORMAT)
UNKNOWN = (REPLY, replies.UNKNOWN_COMMAND)
U32, U64 = 2**32 - 1, 2**64 - 1


def as_(name: str, *arguments: object) -> Command:
    return (OPERATIONS[name], *arguments)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"peek 1", as_("peek", 1), id="id"),
        pytest.param(b"peek   1", as_("peek", 1), id="more spaces"),
        pytest.param(b"peek %d" % U64, as_("peek", U64), id="largest id"),
        pytest.param(b"peek %d" % (U64 + 1), BAD, id="id too large"),
        pytest.param(b"peek", UNKNOWN, id="no space behind the word"),
        pytest.param(b"peek ", BAD, id="no id"),
        pytest.param(b"peek 1 ", BAD, id="space behind the id"),
        pytest.param(b"peek -1", BAD, id="negative id"),
        pytest.param(b"peek-ready", as_("peek-ready"), id="no arguments"),
        pytest.param(b"peek-ready ", BAD, id="space behind a bare word"),
        pytest.param(b"release 1 2 3", as_("release", 1, 2, 3 * SECOND), id="release"),
        pytest.param(b"release 1 %d 3" % U32, as_("release", 1, U32, 3 * SECOND), id="largest pri"),
        pytest.param(b"release 1 %d 3" % (U32 + 1), BAD, id="pri too large"),
        pytest.param(b"release 1 2", BAD, id="release without delay"),
        pytest.param(b"bury 1 2", as_("bury", 1, 2), id="bury"),
        pytest.param(
            b"reserve-with-timeout 2x", as_("reserve-with-timeout", 2 * SECOND), id="tail"
        ),
        pytest.param(b"reserve-with-timeout %d" % 2**31, BAD, id="timeout too large"),
        pytest.param(b"kick -1", as_("kick", U32), id="negative bound"),
        pytest.param(b"kick %d" % (U32 + 3), as_("kick", 2), id="bound cut to 32 bits"),
        pytest.param(b"kick %d" % (U64 + 1), BAD, id="bound too large"),
        pytest.param(b"kick \t+5x", as_("kick", 5), id="bound as strtoul"),
        pytest.param(b"use a", as_("use", b"a"), id="name"),
        pytest.param(b"use " + b"a" * 200, as_("use", b"a" * 200), id="longest name"),
        pytest.param(b"use " + b"a" * 201, BAD, id="name too long"),
        pytest.param(b"use -a", BAD, id="name with a leading dash"),
        pytest.param(b"use a b", BAD, id="name with a space"),
        pytest.param(b"pause-tube a 1", as_("pause-tube", b"a", SECOND), id="pause"),
        pytest.param(b"pause-tubea 1", as_("pause-tube", b"a", SECOND), id="glued name"),
        pytest.param(b"pause-tube a1", BAD, id="glued delay"),
        pytest.param(
            b"pause-tube -a 1", (COUNTED_REPLY, replies.BAD_FORMAT, PAUSE_TUBE), id="bad name"
        ),
        pytest.param(b"quit now", as_("quit"), id="quit with a tail"),
        pytest.param(b"Quit", UNKNOWN, id="capital"),
        pytest.param(b"peek 1\0", BAD, id="NUL"),
    ],
)
def test_line_becomes_command(line: bytes, expected: Command) -> None:
    assert parse_line(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b"put 1 2 3 4", (PUT, 1, 2 * SECOND, 3 * SECOND, 4), id="plain"),
        pytest.param(b"put 1 2 0 4", (PUT, 1, 2 * SECOND, SECOND, 4), id="TTR of 0 means 1"),
        pytest.param(b"put 1 2 3", BAD, id="no size"),
        pytest.param(b"put %d 2 3 4" % (U32 + 1), BAD, id="pri too large"),
        pytest.param(b"putt 1 2 3 4", UNKNOWN, id="another word"),
        pytest.param(
            b"put 1 2 3 4 ", (COUNTED_REPLY, replies.BAD_FORMAT, PUT, 4), id="tail behind the size"
        ),
    ],
)
def test_put_line_becomes_command(line: bytes, expected: Command) -> None:
    assert parse_put(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"put 1", "put "),
        (b"reserve", "reserve"),
        (b"reserve-with-timeout 1", "reserve-with-timeout "),
        (b"stats-nothing", "stats"),
        (b"nothing", "<unknown>"),
    ],
)
def test_word_is_logged_as_in_c(line: bytes, expected: str) -> None:
    assert word_of(line) == expected
