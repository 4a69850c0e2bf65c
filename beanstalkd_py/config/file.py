"""The configuration file: read, and checked against the table of options."""

from __future__ import annotations

import codecs
import difflib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from beanstalkd_py.config.kinds import Invalid, Value
from beanstalkd_py.config.table import IN_FILE, Option

# A reload reads the file on the loop thread.
MAX_BYTES = 1 << 18


class Mistake(NamedTuple):
    """line: None if the whole file is meant."""

    line: int | None
    text: str


class WrongFile(Exception):
    """Every mistake that was found, in the order of lines."""

    def __init__(self, path: str, mistakes: Iterable[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(mistakes, key=lambda mistake: mistake.line or 0)
        super().__init__(path, self.mistakes)

    @property
    def lines(self) -> list[str]:
        """One for each mistake: FILE:LINE: text."""
        path = self.path or '""'
        return [
            f"{path}: {text}" if line is None else f"{path}:{line}: {text}"
            for line, text in self.mistakes
        ]

    @property
    def summary(self) -> str:
        """The first line, and how many more there are."""
        more = len(self.mistakes) - 1
        return self.lines[0] + (f" ({more} more: see --check-config)" if more else "")


def read(path: str) -> dict[str, Any]:
    """The values in the file, by key. Raises WrongFile."""
    from beanstalkd_py.config import toml  # 5 ms, which a start without a file need not take

    try:
        document = toml.parse(_decode(contents(path)))
    except _Refused as error:
        raise WrongFile(path, [error.mistake]) from None
    except toml.NotToml as error:
        raise WrongFile(path, [Mistake(error.line, error.text)]) from None
    values: dict[str, Any] = {}
    mistakes: list[Mistake] = []
    if "schedule" in document.values:
        from beanstalkd_py.config import schedules

        found, wrong = schedules.read(document.values.pop("schedule"), document.lines)
        values["schedule"] = found
        mistakes.extend(Mistake(line, text) for line, text in wrong)
    for key, value in document.values.items():
        try:
            values[key] = _value(key, value)
        except Invalid as error:
            mistakes.append(Mistake(document.lines[(key,)], str(error)))
    known = {key: value for key, value in values.items() if key in IN_FILE}
    mistakes.extend(_contradictions(document.lines, known))
    if mistakes:
        raise WrongFile(path, mistakes)
    return values


class _Refused(Exception):
    def __init__(self, line: int | None, text: str) -> None:
        super().__init__(line, text)
        self.mistake = Mistake(line, text)


def contents(path: str) -> bytes:
    """Of a regular file of bounded size. Raises WrongFile."""
    try:
        return _contents(path)
    except OSError as error:
        raise WrongFile(path, [Mistake(None, error.strerror or str(error))]) from None
    except _Refused as error:
        raise WrongFile(path, [error.mistake]) from None


def _contents(path: str) -> bytes:
    """O_NONBLOCK: a pipe must not hold up the server."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise _Refused(None, "not a regular file")
        with open(fd, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    finally:
        os.close(fd)
    if len(data) > MAX_BYTES:
        raise _Refused(None, f"more than {MAX_BYTES} bytes")
    return data


def _decode(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        text = "begins with a byte-order mark (EF BB BF); save the file as UTF-8 without it"
        raise _Refused(1, text)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _Refused(line, "not UTF-8, which TOML files must be") from None


def _value(key: str, value: object) -> Value:
    option = IN_FILE.get(key)
    if option is None:
        raise Invalid(f"unknown key: {_shown(key)}{_suggestion(key)}")
    try:
        return option.kind.from_file(value)
    except Invalid as error:
        raise Invalid(f"{key}: {error}") from None


def _shown(key: str) -> str:
    """In one line."""
    return key if re.fullmatch("[A-Za-z0-9_-]{1,100}", key) else repr(key[:100])


def _suggestion(key: str) -> str:
    close = difflib.get_close_matches(key[:100].lower().replace("-", "_"), IN_FILE, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _contradictions(
    lines: Mapping[tuple[str | int, ...], int], values: Mapping[str, Value]
) -> Iterator[Mistake]:
    """Flags replace each other in their order. Keys have no order."""
    for key in values:
        option: Option = IN_FILE[key]
        for other, implied in option.implies:
            if values.get(other, implied) != implied:
                shown = str(values[other]).lower()
                text = f"{key}: contradicts {other} = {shown}"
                yield Mistake(lines[(key,)], text)
