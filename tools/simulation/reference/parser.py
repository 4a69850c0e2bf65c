"""The parser of the reference model: a whole line becomes a command's word and its arguments, or
raises `BadLine`. Nothing is kept between lines.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .state import SECOND

MAX_LINE = 224  # bytes with its CRLF
MAX_NAME = 200
U32, U64 = 2**32 - 1, 2**64 - 1
MAX_TIMEOUT_S = 2**31 - 1
NAME = rb"[-A-Za-z0-9+/;.$_()]+"

ONE_ID = ("peek", "reserve-job", "delete", "touch", "kick-job", "stats-job")
ONE_NAME = ("use", "watch", "ignore", "stats-tube")
BARE = (
    "peek-ready",
    "peek-delayed",
    "peek-buried",
    "reserve",
    "stats",
    "list-tubes-watched",
    "list-tube-used",
    "list-tubes",
)


class Number(NamedTuple):
    """An argument of an extension."""

    most: int = U32
    least: int = 0
    unit: int = 1


SECONDS = Number(unit=SECOND)
CURSOR = rb"[0-9]+\.[0-9]+"
STATE = rb"ready|delayed|buried"
SETTINGS = rb"(?#key=value ...)"
OPTIONS = rb"(?#[key=value ...])"
# Only the whole word is one. Its arguments: what each must match.
EXTENSIONS: dict[str, tuple[bytes | Number, ...]] = {
    "capabilities": (),
    "ping": (),
    "peek-tube": (NAME, STATE),
    "kick-tube": (NAME, Number()),
    "put-in-tube": (NAME, Number(), SECONDS, SECONDS, Number()),
    "reserve-batch": (Number(500, least=1), Number(MAX_TIMEOUT_S, unit=SECOND)),
    "drain": (rb"on|off|status",),
    "list-jobs": (NAME, rb"ready|reserved|delayed|buried", Number(1000, least=1), CURSOR),
    "truncate": (NAME, STATE),
    "set-tube": (NAME, SETTINGS),
    "move-job": (Number(U64), NAME),
    "move-jobs": (NAME, STATE, NAME, Number()),
    "list-connections": (),
    "stats-conn": (Number(U64),),
    "stats-tube-all": (),
    "put-with": (Number(), SECONDS, SECONDS, Number(), OPTIONS),
}
TUBE_SETTINGS: dict[str, bytes | Number] = {
    "max-attempts": Number(),
    "dead-tube": NAME,
    "max-jobs": Number(),
    "max-bytes": Number(U64),
    "max-reserved": Number(),
    "expire": Number(),
}
JOB_OPTIONS: dict[str, bytes | Number] = {
    "tube": NAME,
    "key": rb"[!-~]{1,200}",
    "until": rb"reserve",
    "at": SECONDS,
    "expire": SECONDS,
    "attempts": Number(),
}
OPTIONAL = {"list-jobs": 2, "truncate": 1, "stats-conn": 1}  # of the arguments


class BadLine(Exception):
    """The line is refused. `counts`: the command as which it is counted nevertheless."""

    def __init__(self, reply: bytes = b"BAD_FORMAT\r\n", counts: str = "") -> None:
        super().__init__(reply)
        self.reply = reply
        self.counts = counts
        self.skips: int | None = None  # bytes of a body that is skipped


class Reader:
    """Reads the arguments of a line from left to right."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def take(self, pattern: bytes) -> bytes:
        match = re.match(pattern, self.rest)
        if match is None:
            raise BadLine
        self.rest = self.rest[match.end() :]
        return match[0]

    def number(self, most: int) -> int:
        number = int(self.take(rb" *[0-9]+"))
        if number > most:
            raise BadLine
        return number

    def seconds(self) -> int:
        return self.number(U32) * SECOND

    def end(self) -> None:
        if self.rest:
            raise BadLine


def words(line: bytes) -> tuple[str, list[object]]:
    """The word and the arguments of any line except a put. Durations are in ns."""
    extension = line.split(b" ")[0].decode("latin-1")
    if extension in EXTENSIONS:
        try:
            return extension, _strict(line, EXTENSIONS[extension], OPTIONAL.get(extension, 0))
        except BadLine as bad:
            texts = line.split(b" ")
            if extension == "put-in-tube" and len(texts) == 6:
                bad.skips = _size(texts[5])
            if extension == "put-with" and len(texts) >= 5:
                bad.skips = _size(texts[4])
            raise
    if b"\0" in line:
        raise BadLine
    for word in (*ONE_ID, *ONE_NAME, "reserve-with-timeout", "release", "bury", "kick"):
        if line.startswith(word.encode() + b" "):
            return word, _arguments(word, Reader(line[len(word) + 1 :]))
    for word in BARE:
        if line.startswith(word.encode()):
            Reader(line[len(word) :]).end()
            return word, []
    if line.startswith(b"quit"):
        return "quit", []
    if line.startswith(b"pause-tube"):
        return "pause-tube", _pause(Reader(line[len(b"pause-tube") :]))
    raise BadLine(b"UNKNOWN_COMMAND\r\n")


def _strict(line: bytes, kinds: tuple[bytes | Number, ...], optional: int) -> list[object]:
    """One space before each argument, and nothing behind them."""
    texts = line.split(b" ")[1:]
    if OPTIONS in kinds:
        found = [_strict_argument(text, kind) for text, kind in zip(texts, kinds[:4], strict=False)]
        if len(found) < 4:
            raise BadLine
        options = _options(texts[4:])
        if ("until" in options and "key" not in options) or ("at" in options and found[1]):
            raise BadLine
        return [*found, options]
    if SETTINGS in kinds:
        return [_name(texts[0]) if texts else None, _settings(texts[1:])]
    if not len(kinds) - optional <= len(texts) <= len(kinds):
        raise BadLine
    return [_strict_argument(text, kind) for text, kind in zip(texts, kinds, strict=False)]


def _size(text: bytes) -> int | None:
    return int(text) if re.fullmatch(rb"[0-9]+", text) and int(text) <= U32 else None


def _options(texts: list[bytes]) -> dict[str, object]:
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition(b"=")
        kind = JOB_OPTIONS.get(key.decode("latin-1"))
        if kind is None or not equals or key.decode() in found:
            raise BadLine
        argument = _strict_argument(value, kind)
        found[key.decode()] = value if key == b"key" else argument
    return found


def _settings(texts: list[bytes]) -> dict[str, object]:
    """No value stands for none."""
    found: dict[str, object] = {}
    for text in texts:
        key, equals, value = text.partition(b"=")
        kind = TUBE_SETTINGS.get(key.decode("latin-1"))
        if kind is None or not equals or key.decode() in found:
            raise BadLine
        none = b"" if kind == NAME else 0
        found[key.decode()] = _strict_argument(value, kind) if value else none
    if not found:
        raise BadLine
    return found


def _strict_argument(text: bytes, kind: bytes | Number) -> object:
    if not re.fullmatch(rb"[0-9]+" if isinstance(kind, Number) else kind, text):
        raise BadLine
    if isinstance(kind, Number):
        if not kind.least <= int(text) <= kind.most:
            raise BadLine
        return int(text) * kind.unit
    if kind == CURSOR:
        numbers = [int(number) for number in text.split(b".")]
        if max(numbers) > U64:
            raise BadLine
        return tuple(numbers)
    return _name(text) if kind == NAME else text.decode()


def _arguments(word: str, reader: Reader) -> list[object]:
    if word in ONE_NAME:
        return [_name(reader.rest)]
    if word == "kick":
        return [_bound(reader)]
    if word == "reserve-with-timeout":
        return [reader.number(MAX_TIMEOUT_S) * SECOND]
    arguments: list[object] = [reader.number(U64)]
    if word in ("release", "bury"):
        arguments.append(reader.number(U32))
    if word == "release":
        arguments.append(reader.seconds())
    reader.end()
    return arguments


def _name(name: bytes) -> bytes:
    if not re.fullmatch(NAME, name) or name.startswith(b"-") or len(name) > MAX_NAME:
        raise BadLine
    return name


def _bound(reader: Reader) -> int:
    """The result of strtoul, cut to 32 bits."""
    number = int(reader.take(rb"[ \t\n\v\f\r]*[-+]?[0-9]+"))
    if abs(number) > U64:
        raise BadLine
    return number % 2**32


def _pause(reader: Reader) -> list[object]:
    name = reader.take(b" *" + NAME).lstrip(b" ")
    pause = reader.seconds()
    reader.end()
    try:
        return [_name(name), pause]
    except BadLine:
        raise BadLine(counts="pause-tube") from None


def put(line: bytes, max_job_size: int) -> list[int]:
    """Priority, delay and TTR (ns), bytes of the body. If the body is too big, anything may follow
    in the line.
    """
    if b"\0" in line:
        raise BadLine
    reader = Reader(line[len(b"put ") :])
    pri, delay, ttr, nbytes = (
        reader.number(U32),
        reader.seconds(),
        reader.seconds(),
        reader.number(U32),
    )
    if nbytes <= max_job_size and reader.rest:
        raise BadLine(counts="put")
    return [pri, delay, max(ttr, SECOND), nbytes]
