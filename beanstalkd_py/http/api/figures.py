"""The figures of the protocol's YAML as values of Python: numbers, texts, true and false."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

Figures = dict[str, Any]

_INTEGER = re.compile("-?[0-9]{1,20}")
_DECIMAL = re.compile("-?[0-9]{1,20}[.][0-9]+")


def value(text: str) -> Any:
    """Names are in quotes, except up to version 1.12 of the C server."""
    if text.startswith('"') and text.endswith('"') and len(text) > 1:
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text, text)


def of_lines(lines: Iterable[tuple[str, object]]) -> Figures:
    """lines: as `protocol.yaml` makes them."""
    return {key: each if isinstance(each, int) else value(str(each)) for key, each in lines}


# Texts by their keys: a tube may be called 17, or true.
_TEXTS = frozenset(("cursor", "name", "tube", "dead-tube", "origin", "key", "version", "hostname"))


def parsed(body: bytes, *texts: str) -> Figures:
    """A reply with a figure in each line. texts: more keys whose values are no numbers."""
    return _figures(_text(body).splitlines()[1:], _TEXTS.union(texts))


def items(body: bytes) -> Iterator[Figures]:
    """The items of a list of figures."""
    for item in _text(body).split("\n- ")[1:]:
        yield _figures(item.split("\n  "), _TEXTS)


def names(body: bytes) -> list[str]:
    """The items of a list of names."""
    return [line[2:].strip() for line in _text(body).splitlines() if line.startswith("- ")]


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")


def _figures(lines: Iterable[str], texts: frozenset[str]) -> Figures:
    found: Figures = {}
    for line in lines:
        key, colon, text = line.strip().partition(": ")
        if colon:
            is_plain = key in texts and not text.startswith('"')
            found[key] = text if is_plain else value(text)
    return found
