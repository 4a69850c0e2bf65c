"""The few requests of troff's `man` macros that the manual pages need."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable


def escaped(text: str) -> str:
    """Plain text, in which hyphens can be copied into a shell."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def bold(text: str) -> str:
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    return f"\\fI{escaped(text)}\\fR"


def title(program: str, version: str) -> str:
    name = escaped(program)
    return f'.TH {name.upper()} 1 "" "beanstalkd\\-py {version}" "User commands"\n'


def section(heading: str, *parts: str) -> str:
    return f'.SH "{escaped(heading.upper())}"\n' + "".join(parts)


def subsection(heading: str, *parts: str) -> str:
    return f'.SS "{escaped(heading)}"\n' + "".join(parts)


def paragraph(text: str) -> str:
    return f".PP\n{text}\n"


def lines(text: str) -> str:
    """Text whose line breaks stay."""
    return f".PP\n.nf\n{text}\n.fi\n"


def definitions(rows: Iterable[tuple[str, str]]) -> str:
    """Terms, each with its text below."""
    return "".join(f".TP\n{term}\n{text}\n" for term, text in rows)


def from_help(text: str) -> str:
    """A help text of click. A paragraph that begins with a backspace keeps its lines."""
    parts = []
    for block in re.split(r"\n\n", inspect.cleandoc(text)):
        if block.startswith("\b"):
            parts.append(lines(escaped(block.removeprefix("\b").strip("\n"))))
        else:
            parts.append(paragraph(escaped(" ".join(block.split()))))
    return "".join(parts)


def from_markdown(text: str) -> str:
    """One line: code is bold, and of a link only its words are left."""
    words = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"`([^`]+)`", words)
    return "".join(bold(part) if at % 2 else escaped(part) for at, part in enumerate(parts))
