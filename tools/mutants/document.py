"""Writes the table of mutants in docs/testing.md, between two marks.

Run it with `make mutants ARGUMENTS=--document`. A test compares the page with the mutants.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from testkit.page import replaced

from .mutant import Mutant

BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
PAGE = "docs/testing.md"
_HEADING = ["| invariant | what is broken | name | detected by |", "|---|---|---|---|"]


def table(mutants: Sequence[Mutant]) -> str:
    """The table in Markdown, one row for each mutant."""
    return "\n".join([*_HEADING, *map(_row, mutants)])


def _row(mutant: Mutant) -> str:
    commands = ", ".join(f"`{command.removeprefix('tests/')}`" for command in mutant.caught_by)
    return f"| {mutant.invariant.value} | {mutant.broken} | `{mutant.name}` | {commands} |"


def with_table(page: str, mutants: Sequence[Mutant]) -> str:
    """The page with an up-to-date table. Raises NoPlace."""
    return replaced(page, BEGIN, END, table(mutants))


def write(root: Path, mutants: Sequence[Mutant]) -> None:
    path = root / PAGE
    path.write_text(with_table(path.read_text(), mutants))
