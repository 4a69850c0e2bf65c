"""Turns a line, without its CRLF and without put's body, into a command.

No function raises: a malformed line becomes `(REPLY, reply)`. Source: beanstalkd 1.13, prot.c.
Words are matched by prefix. Numbers are read as its read_u32, read_u64 and strtoul read them.
"""

import re
from collections.abc import Callable
from typing import Final

from beanstalkd_py.protocol import replies
from beanstalkd_py.protocol.commands import (
    COMMANDS,
    COUNTED_REPLY,
    CURSOR,
    EXTENSION_WORDS,
    JOB_SETTINGS,
    KEY,
    PAUSE_TUBE,
    PREFIXES,
    PUT,
    REPLY,
    SECOND,
    SIZE,
    TUBE,
    TUBE_SETTINGS,
    U32,
    U64,
    Argument,
    Command,
    Form,
    Row,
)

MAX_NAME: Final = 200  # bytes of a tube name

BAD_FORMAT: Command = (REPLY, replies.BAD_FORMAT)
UNKNOWN: Command = (REPLY, replies.UNKNOWN_COMMAND)
BAD_PUT: Command = (COUNTED_REPLY, replies.BAD_FORMAT, PUT)
_BAD_PAUSE: Command = (COUNTED_REPLY, replies.BAD_FORMAT, PAUSE_TUBE)

_NAME_BYTES: Final = rb"[A-Za-z0-9\-+/;.$_()]"
_NAME: Final = re.compile(rb"(?!-)" + _NAME_BYTES + rb"{1,%d}\Z" % MAX_NAME)
_PUT: Final = re.compile(rb" *([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+)(.*)\Z", re.DOTALL)
_NUMBER: Final = re.compile(rb" *([0-9]+)")
_STRTOUL: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_KEY: Final = re.compile(rb"[!-~]{1,%d}\Z" % MAX_NAME)
_CURSOR: Final = re.compile(rb"([0-9]+)\.([0-9]+)\Z")
_GLUED: Final = re.compile(rb" *(" + _NAME_BYTES + rb"+) *([0-9]+)\Z")


def word_of(line: bytes) -> str:
    """The command word of any line, well-formed or not, as the C server logs it."""
    extension = EXTENSION_WORDS.get(line.partition(b" ")[0])
    if extension is not None:
        return COMMANDS[extension].word.decode()
    for word, _ in PREFIXES:
        if line.startswith(word):
            return word.decode()
    return "<unknown>"


def parse_line(line: bytes) -> Command:
    """Any line except put's."""
    if b"\0" in line:
        return BAD_FORMAT
    word, space, rest = line.partition(b" ")
    extension = EXTENSION_WORDS.get(word)
    if extension is not None:
        return parse_arguments(extension, rest) if bool(space) is bool(rest) else BAD_FORMAT
    for word, operation in PREFIXES:
        if line.startswith(word):
            return parse_arguments(operation, line[len(word) :])
    return UNKNOWN


def parse_arguments(operation: int, rest: bytes) -> Command:
    """rest: what follows the word."""
    return _PARSERS[operation](operation, rest)


def _nothing(operation: int, rest: bytes) -> Command:
    return BAD_FORMAT if rest else (operation,)


def _anything(operation: int, rest: bytes) -> Command:
    return (operation,)


def _name(operation: int, rest: bytes) -> Command:
    return (operation, rest) if _NAME.match(rest) else BAD_FORMAT


def _numbers(operation: int, rest: bytes) -> Command:
    match = _PATTERNS[operation].match(rest)
    if match is None:
        return BAD_FORMAT
    command = [operation]
    for (most, factor), digits in zip(_LIMITS[operation], match.groups(), strict=True):
        number = int(digits)
        if number > most:
            return BAD_FORMAT
        command.append(number * factor)
    return tuple(command)


def _first_number(operation: int, rest: bytes) -> Command:
    match = _NUMBER.match(rest)
    if match is None:
        return BAD_FORMAT
    number = int(match[1])
    most, factor = _LIMITS[operation][0]
    return (operation, number * factor) if number <= most else BAD_FORMAT


def _strtoul(operation: int, rest: bytes) -> Command:
    """As strtoul, then cut to 32 bits: `kick -1` means 4294967295."""
    match = _STRTOUL.match(rest)
    if match is None or int(match[2]) > U64:
        return BAD_FORMAT
    bound = int(match[2])
    return (operation, (-bound if match[1] == b"-" else bound) & U32)


def _glued(operation: int, rest: bytes) -> Command:
    match = _GLUED.match(rest)
    # The name takes all it can, also digits. So the delay needs a space before it.
    if match is None or rest[match.end(1) : match.start(2)] == b"" or int(match[2]) > U32:
        return BAD_FORMAT
    if not _NAME.match(match[1]):
        return _BAD_PAUSE
    return (operation, match[1], int(match[2]) * SECOND)


def _strict(operation: int, rest: bytes) -> Command:
    words = rest.split(b" ") if rest else []
    arguments = COMMANDS[operation].arguments
    missing = arguments[len(words) :]
    if len(words) > len(arguments) or not all(argument.optional for argument in missing):
        return BAD_FORMAT
    command: list[object] = [operation]
    for argument, word in zip(arguments, words, strict=False):
        value = _value(argument, word)
        if value is None:
            return BAD_FORMAT
        command.append(value)
    return (*command, *[None for _ in missing])


def _settings(operation: int, rest: bytes) -> Command:
    """(operation, tube, {key: value}). No value is 0 or b""."""
    name, *words = rest.split(b" ")
    settings = _pairs(words, TUBE_SETTINGS, may_be_empty=True)
    return (operation, name, settings) if _NAME.match(name) and settings else BAD_FORMAT


def _options(operation: int, rest: bytes) -> Command:
    """(operation, pri, delay, ttr, {key: value}, size)."""
    words = rest.split(b" ")
    count = len(COMMANDS[operation].arguments)
    command = _strict(operation, b" ".join(words[:count]))
    settings = _pairs(words[count:], JOB_SETTINGS, may_be_empty=False)
    if command[0] != operation or settings is None:
        return BAD_FORMAT
    _, pri, delay, ttr, size = command
    if (b"until" in settings and b"key" not in settings) or (b"at" in settings and delay):
        return BAD_FORMAT
    return (operation, pri, delay, ttr, settings, size)


def _pairs(
    words: list[bytes], known: dict[bytes, Argument], may_be_empty: bool
) -> dict[bytes, object] | None:
    """None: a word is malformed, unknown, or there twice."""
    settings: dict[bytes, object] = {}
    for word in words:
        key, equals, text = word.partition(b"=")
        argument = known.get(key)
        if argument is None or not equals or key in settings:
            return None
        is_removed = may_be_empty and not text
        value = (0 if argument.most else b"") if is_removed else _value(argument, text)
        if value is None:
            return None
        settings[key] = value
    return settings


def size_in(operation: int, line: bytes) -> int | None:
    """The size of the body after a malformed line of this put. None: no body follows. The line must
    have the arguments up to the size, and further ones only where the command can have them.
    """
    row = COMMANDS[operation]
    at = 1 + row.arguments.index(SIZE)
    words = line.split(b" ")
    if len(words) <= at or (len(words) > at + 1 and row.form is not Form.OPTIONS):
        return None
    return int(words[at]) if words[at].isdigit() and int(words[at]) <= U32 else None


def _value(argument: Argument, word: bytes) -> bytes | int | None:
    """None: the word is malformed."""
    if argument.name == CURSOR.name:
        return _cursor(word)
    if argument.name == KEY.name:
        return word if _KEY.match(word) else None
    if argument.words:
        return word if word in argument.words else None
    if not argument.most:
        return word if _NAME.match(word) else None
    if not word.isdigit() or not argument.least <= int(word) <= argument.most:
        return None
    return int(word) * SECOND if argument.in_seconds else int(word)


def _cursor(word: bytes) -> int | None:
    """A key, as in `queue.listing`."""
    match = _CURSOR.match(word)
    if match is None or int(match[1]) > U64 or int(match[2]) > U64:
        return None
    return int(match[1]) << 64 | int(match[2])


def _parser_of(row: Row) -> Callable[[int, bytes], Command]:
    if row.form is Form.STRTOUL:
        return _strtoul
    if row.form is Form.STRICT:
        return _strict
    if row.form is Form.SETTINGS:
        return _settings
    if row.form is Form.OPTIONS:
        return _options
    if row.form is Form.GLUED:
        return _glued
    if row.form is Form.LOOSE:
        return _first_number if row.arguments else _anything
    if not row.arguments:
        return _nothing
    return _name if row.arguments[0] is TUBE else _numbers


# By operation.
_PARSERS: Final = [_parser_of(row) for row in COMMANDS]
_PATTERNS: Final = [row.pattern for row in COMMANDS]
_LIMITS: Final = [
    [(argument.most, SECOND if argument.in_seconds else 1) for argument in row.arguments]
    for row in COMMANDS
]


def parse_put(line: bytes) -> Command:
    """Parses any line of put: (PUT, pri, delay, ttr, size), with delay and ttr in ns.

    A size that is too large for the server is returned like any other. If bytes follow the size,
    the result is BAD_PUT with the size as its last item. The C server checks the size before it
    checks for such bytes.
    """
    if b"\0" in line:
        return BAD_FORMAT
    if not line.startswith(b"put "):
        return UNKNOWN
    match = _PUT.match(line, 4)
    if match is None:
        return BAD_FORMAT
    pri, delay, ttr, size = (int(match[i]) for i in (1, 2, 3, 4))
    if max(pri, delay, ttr, size) > U32:
        return BAD_FORMAT
    if match[5]:
        return (*BAD_PUT, size)
    return (PUT, pri, delay * SECOND, (ttr or 1) * SECOND, size)
