"""The table of docs/testing.md: which law, what is broken, who notices. Written between two marks,
by `python -m mutants --document`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .mutant import Mutant

BEGIN, END = "<!-- mutants: begin -->", "<!-- mutants: end -->"
PAGE = "docs/testing.md"


def table(mutants: Sequence[Mutant]) -> str:
    """In Markdown, by law."""
    rows = [
        f"| {_law(mutant)} | {mutant.broken} | `{mutant.name}` | {_caught(mutant)} |"
        for mutant in mutants
    ]
    return "\n".join(["| law | what is broken | name | noticed by |", "|---|---|---|---|", *rows])


def _law(mutant: Mutant) -> str:
    return str(mutant.law) if mutant.law else "C"


def _caught(mutant: Mutant) -> str:
    return ", ".join(f"`{command.removeprefix('tests/')}`" for command in mutant.caught_by)


def written(page: str, mutants: Sequence[Mutant]) -> str:
    """The page with the table as it must be. Raises ValueError where the marks are missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, behind = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} lacks {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{table(mutants)}\n{END}{behind}"


def write(root: Path, mutants: Sequence[Mutant]) -> None:
    path = root / PAGE
    path.write_text(written(path.read_text(), mutants))
