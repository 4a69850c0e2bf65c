"""The manual page of the server, from its table of options and the tables of docs/operating.md."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from beanstalkd_py import __version__, password, ping
from beanstalkd_py.config.table import OPTIONS, Group, Option

from .arguments import options_of, usage
from .roff import (
    bold,
    definitions,
    escaped,
    from_markdown,
    italic,
    paragraph,
    section,
    subsection,
    title,
)

PROGRAM = "beanstalkd-py"
OPERATING = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
_NAME = "beanstalkd-compatible, durable work-queue server"
_ABOUT = (
    "A work-queue server that speaks the beanstalkd protocol. With -b, it sends a reply only after "
    "the change is safely on disk. Without -b, jobs are in memory only."
)
_OTHERS = ("beanstalkd-binlog", "beanstalkd-console")
_FILES = (
    ("/etc/beanstalkd-py.toml", "options of the systemd service"),
    ("/var/lib/beanstalkd-py", "jobs of the systemd service"),
)


def page() -> str:
    groups = [
        subsection(group.value, definitions(map(_option, rows)))
        for group in Group
        if (rows := [option for option in OPTIONS if option.group is group])
    ]
    return "".join(
        [
            title(PROGRAM, __version__),
            section(
                "Name", f"{escaped(PROGRAM)} \\- beanstalkd\\-compatible, durable work queue\n"
            ),
            section("Synopsis", _synopsis()),
            section("Description", paragraph(escaped(_ABOUT))),
            section("Options", *groups),
            section("Ping", _of(ping.parser(""))),
            section("Password", _of(password.parser(""))),
            section("Signals", definitions(rows_of("Signals"))),
            section("Exit status", definitions(rows_of("Exit statuses"))),
            section("Files", definitions((italic(path), escaped(text)) for path, text in _FILES)),
            section("See also", ", ".join(f"{bold(each)}(1)" for each in _OTHERS) + "\n"),
        ]
    )


def _synopsis() -> str:
    server = f"{bold(PROGRAM)} [{italic('OPTIONS')}]"
    return (
        f"{server}\n.br\n{bold(PROGRAM)} {bold('ping')} {usage(ping.parser(''))}\n"
        f".br\n{bold(PROGRAM)} {bold('password')} {usage(password.parser(''))}\n"
    )


def _option(option: Option) -> tuple[str, str]:
    letter = f"{bold('-' + option.letter)}, " if option.letter else ""
    value = f" {italic(option.value)}" if option.value else ""
    default = f" (default: {option.default})" if option.default else ""
    return f"{letter}{bold(option.long)}{value}", escaped(option.help + default)


def _of(parser: argparse.ArgumentParser) -> str:
    """Of a word that can be the first argument."""
    return paragraph(escaped(str(parser.description))) + options_of(parser)


def rows_of(heading: str) -> list[tuple[str, str]]:
    """The first two columns of the table below a heading of the page."""
    _, _, rest = OPERATING.read_text().partition(f"\n## {heading}\n")
    text = rest.partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in row] for row in re.findall(r"^\|([^|]*)\|([^|]*)", text, re.M)
    ]
    if len(rows) < 3:
        raise ValueError(f"{OPERATING} has no table below {heading!r}")
    return [(bold(first), from_markdown(second)) for first, second in rows[2:]]
