"""Kinds of values: how each is read from a word of the command line, and from the file.

The command line is read as the C server reads it, which is lenient. The configuration file is ours:
there a wrong type, or a number out of range, is a mistake.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SIZE_MAX = 2**64 - 1
# An IPv6 address is in brackets.
_ENDPOINT = re.compile(r"unix:.+|(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):([0-9]{1,5})", re.ASCII | re.DOTALL)
_TYPES = {
    bool: "a boolean",
    int: "an integer",
    float: "a float",
    str: "a string",
    list: "an array",
    dict: "a table",
}

Value = bool | int | str


class Invalid(ValueError):
    """A value that cannot be read. Of a word of the command line, the text is the noun that follows
    "invalid". Of a value of the file, the text is the whole message.
    """


class Number(NamedTuple):
    """A number from `least` to `most`. as_in_c: on the command line it is read as the C server
    reads it, and a larger one is not refused here.
    """

    least: int
    most: int
    unit: str = ""
    as_in_c: bool = False

    def from_word(self, word: str) -> int:
        if self.as_in_c:
            return self._scanned(word)
        # The C server reads -1 as the largest number, which would be no limit.
        if not re.fullmatch("[0-9]{1,20}", word) or not self.least <= int(word) <= self.most:
            raise Invalid(f"value (expected {self})")
        return int(word)

    def _scanned(self, word: str) -> int:
        """Reads a size_t as scanf's %zu does. White space and a sign may come first. A negative
        number wraps. A number that is too large becomes the largest size_t.
        """
        match = re.fullmatch(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)", word)
        if match is None:
            raise Invalid("size")
        sign, digits = match[1], match[2].lstrip("0") or "0"
        if len(digits) > 20 or int(digits) > _SIZE_MAX:
            return _SIZE_MAX
        return -int(digits) & _SIZE_MAX if sign == "-" else int(digits)

    def from_file(self, value: object) -> int:
        number = _integer(value, str(self))
        if not self.least <= number <= self.most:
            raise Invalid(f"expected {self}, found {_short(number)}")
        return number

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        return f"an integer from {self.least} to {self.most}{unit}"


class Auto(NamedTuple):
    """A number, or "auto": the server chooses it."""

    number: Number

    def from_word(self, word: str) -> int | str:
        try:
            return word if word == "auto" else self.number.from_word(word)
        except Invalid:
            raise Invalid(f"value (expected {self})") from None

    def from_file(self, value: object) -> int | str:
        if value == "auto":
            return "auto"
        if isinstance(value, bool) or not isinstance(value, int):
            raise _unexpected(str(self), value)
        return self.number.from_file(value)

    def __str__(self) -> str:
        return f'{self.number}, or "auto"'


class Text(NamedTuple):
    may_be_empty: bool = False

    def from_word(self, word: str) -> str:
        return word

    def from_file(self, value: object) -> str:
        text = _string(value, str(self))
        if "\0" in text:
            raise Invalid("a zero byte is not allowed")
        if not (text or self.may_be_empty):
            raise Invalid("expected a string, found an empty one")
        return text

    def __str__(self) -> str:
        return "a string"


class Port(NamedTuple):
    """The number of a port, or the name of a service, which the resolver knows."""

    def from_word(self, word: str) -> str:
        return word

    def from_file(self, value: object) -> str:
        if isinstance(value, str):
            name = Text().from_file(value)
            number = int(name) if re.fullmatch("[-+]?[0-9]{1,20}", name) else 0
            if not 0 <= number <= 65535:
                raise Invalid(f"expected {self}, found {_short(name)}")
            return name
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
            raise _unexpected(str(self), value)
        return str(value)

    def __str__(self) -> str:
        return "an integer from 0 to 65535, or the name of a service"


class Choice(NamedTuple):
    words: tuple[str, ...]

    def from_word(self, word: str) -> str:
        if word not in self.words:
            raise Invalid(f"value (expected {self})")
        return word

    def from_file(self, value: object) -> str:
        text = _string(value, str(self))
        if text not in self.words:
            raise Invalid(f"expected {self}, found {_short(text)}")
        return text

    def __str__(self) -> str:
        return " or ".join(f'"{word}"' for word in self.words)


class Endpoint(NamedTuple):
    """Where something listens besides the protocol's own socket: ADDR:PORT or unix:PATH."""

    def from_word(self, word: str) -> str:
        match = _ENDPOINT.fullmatch(word)
        if match is None or int(match[1] or 0) > 65535:
            raise Invalid("address (expected ADDR:PORT or unix:PATH)")
        return word

    def from_file(self, value: object) -> str:
        text = Text().from_file(value)
        try:
            return self.from_word(text)
        except Invalid:
            raise Invalid(f"expected {self}, found {_short(text)}") from None

    def __str__(self) -> str:
        return 'a string, such as "127.0.0.1:11380" or "unix:/run/socket"'


class Switch(NamedTuple):
    """Has no value on the command line."""

    def from_word(self, word: str) -> bool:
        raise AssertionError("a switch has no value")

    def from_file(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise _unexpected(str(self), value)
        return value

    def __str__(self) -> str:
        return "true or false"


class Mode(NamedTuple):
    """The permissions of a file, in octal. An integer of TOML would be read as a decimal number."""

    def from_word(self, word: str) -> int:
        if not re.fullmatch("0?[0-7]{3}", word):
            raise Invalid("mode (expected octal digits, such as 660)")
        return int(word, 8)

    def from_file(self, value: object) -> int:
        text = _string(value, str(self))
        try:
            return self.from_word(text)
        except Invalid:
            raise Invalid(f"expected {self}, found {_short(text)}") from None

    def __str__(self) -> str:
        return 'a string of octal digits, such as "660"'


Kind = Number | Auto | Text | Port | Endpoint | Choice | Switch | Mode


def _integer(value: object, expected: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _unexpected(expected, value)
    return value


def _string(value: object, expected: str) -> str:
    if not isinstance(value, str):
        raise _unexpected(expected, value)
    return value


def _unexpected(expected: str, value: object) -> Invalid:
    if isinstance(value, int) and not isinstance(value, bool):
        return Invalid(f"expected {expected}, found {_short(value)}")
    return Invalid(f"expected {expected}, found {_TYPES.get(type(value), 'a date or time')}")


def _short(value: int | str) -> str:
    """In one line, however long the value is. (Python refuses to print a very long integer.)"""
    if isinstance(value, int) and value.bit_length() > 128:
        return "a very large number" if value > 0 else "a very small number"
    text = repr(value)
    return text if len(text) <= 50 else f"{text[:50]}..."
