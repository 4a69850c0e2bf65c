"""The table of options in docs/operating.md, made from the rows of `beanstalkd_py.config.table`."""

from __future__ import annotations

from pathlib import Path

from testkit.page import replaced

from beanstalkd_py.config.table import OPTIONS, Option

BEGIN, END = "<!-- options: begin -->", "<!-- options: end -->"
PAGE = "docs/operating.md"
_HEADING = [
    "| flag | long name | key: type | meaning | default | reload |",
    "|---|---|---|---|---|---|",
]


def table() -> str:
    return "\n".join([*_HEADING, *map(_row, OPTIONS)])


def _row(option: Option) -> str:
    flag = f"`-{option.letter}`" if option.letter else ""
    long = f"`{option.long} {option.value}`".replace(" `", "`")
    key = f"`{option.key}`: {option.kind}" if option.in_file else "no key"
    reload = option.reload.shown if option.in_file else ""
    cells = (flag, long, key, option.help, option.default, reload)
    return "".join(f"| {_escaped(cell)} " for cell in cells) + "|"


def _escaped(cell: str) -> str:
    """A bar would end the cell, also in code."""
    return cell.replace("|", "\\|")


def with_table(page: str) -> str:
    """The page with an up-to-date table. Raises NoPlace."""
    return replaced(page, BEGIN, END, table())


def write(root: Path) -> None:
    path = root / PAGE
    path.write_text(with_table(path.read_text()))
