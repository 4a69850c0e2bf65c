"""TOML with line numbers.

The standard library's parser does not say where a key is, and neither does a kept library. But each
statement of TOML (a header of a table, or a key with its value) begins on a line of its own. So a
document that the parser accepts is cut into its statements, and each statement is parsed alone: the
keys that appear are in the statement's first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

Path = tuple[str | int, ...]

# What decides where a statement ends. Strings and comments are skipped as a whole.
_TOKEN = re.compile(
    r"""
      \#[^\n]*
    | \"{3} (?: \\. | [^\\] )*? \"{3,5}
    | '{3} .*? '{3,5}
    | " (?: \\. | [^"\\\n] )* "
    | ' [^'\n]* '
    | [\[\]{}\n]
    """,
    re.VERBOSE | re.DOTALL,
)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


# Messages of the parser that do not say what helps, and what is said instead.
_TEXTS = {
    r"Invalid value": "invalid value; a string must be in quotes",
    r"Expected newline or end of document after a statement": (
        "text after the value; a string must be in quotes"
    ),
    r"Cannot (overwrite|declare|mutate|redefine) .*": "this key is set above, too",
}


class NotToml(Exception):
    """line: of the mistake, from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(line, text)
        self.line = line
        self.text = text


class Document(NamedTuple):
    """values: as the parser returns them. lines: of each key, by its path: ("listener", 0,
    "address") is the key `address` of the first table of the array `listener`.
    """

    values: dict[str, Any]
    lines: dict[Path, int]


def parse(text: str) -> Document:
    """Raises NotToml."""
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_toml(text, error) from None
    return Document(values, dict(_lines(text)))


def _not_toml(text: str, error: Exception) -> NotToml:
    if isinstance(error, RecursionError):
        return NotToml(1, "nested too deeply")
    message = str(error)
    place = _PLACE.search(message)
    if place is None:  # a value that Python refuses, such as an integer of 5000 digits
        return NotToml(_first_refused(text), "a value cannot be read")
    what = message[: place.start()]
    for pattern, helpful in _TEXTS.items():
        if re.fullmatch(pattern, what):
            what = helpful
    if place[1] is None:
        return NotToml(max(1, len(text.splitlines())), what)
    return NotToml(int(place[1]), f"{what}, column {place[2]}")


def _first_refused(text: str) -> int:
    for line, statement in _statements(text):
        try:
            tomllib.loads(statement)
        except ValueError:
            return line
    return 1


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The first line and the text of each statement, comment or empty line."""
    depth = begin = 0
    line = 1
    for token in _TOKEN.finditer(text):
        found = token[0]
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
        elif found == "\n" and depth == 0:
            statement = text[begin : token.end()]
            yield line, statement
            line += statement.count("\n")
            begin = token.end()
    yield line, text[begin:]


def _lines(text: str) -> Iterator[tuple[Path, int]]:
    seen: set[Path] = set()
    last: dict[Path, int] = {}  # the latest index of each array of tables
    table: Path = ()
    for line, statement in _statements(text):
        values = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(values, last)
            paths = [table[:n] for n in range(1, len(table) + 1)]
        else:
            paths = _paths(table, values)
        for path in paths:
            if path not in seen:
                seen.add(path)
                yield path, line


def _table(header: Any, last: dict[Path, int]) -> Path:
    """The path of the table that a header begins: [a.b] or [[a.b]]."""
    path: Path = ()
    while header:
        if isinstance(header, list):  # [[a]]: a new element
            last[path] = last.get(path, -1) + 1
            return (*path, last[path])
        if path in last:  # [a.b], where `a` is an array: its latest element
            path = (*path, last[path])
        ((key, header),) = header.items()
        path = (*path, key)
    return path


def _paths(table: Path, values: dict[str, Any]) -> list[Path]:
    """All keys of a statement. No recursion: the values may be nested deeply."""
    paths: list[Path] = []
    left: list[tuple[Path, Any]] = [(table, values)]
    while left:
        path, value = left.pop()
        if path != table:
            paths.append(path)
        if isinstance(value, dict):
            left.extend(((*path, key), each) for key, each in value.items())
        elif isinstance(value, list):
            left.extend(((*path, index), each) for index, each in enumerate(value))
    return paths
