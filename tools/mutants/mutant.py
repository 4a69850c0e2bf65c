"""A mutant: one invariant broken in one place of the source.

A mutant names an exact piece of source, its replacement, and the commands that must detect it. The
piece must occur exactly once in its file. Otherwise the mutant is stale, which is an error.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from .invariants import Invariant

SIMULATION = "simulation --seed 1 --seconds 90"  # stops at the first failure


class Stale(Exception):
    """The source has changed, so the mutant must be updated."""


class Mutant(NamedTuple):
    """broken: the wrong behaviour, in a few words. file: path from the root of the repository.

    caught_by: the commands that must detect the mutant, the fastest first. `trial` explains their
    form.
    """

    invariant: Invariant
    name: str
    broken: str
    file: str
    piece: str
    replacement: str
    caught_by: tuple[str, ...]

    def source(self, root: Path) -> str:
        """The text of the file with the mutant applied.

        Raises Stale, or SyntaxError if the result is not valid Python.
        """
        text = (root / self.file).read_text()
        count = text.count(self.piece)
        if count != 1:
            raise Stale(f"{self.name}: {self.file} has this piece {count} times:\n{self.piece}")
        mutated = text.replace(self.piece, self.replacement)
        if self.file.endswith(".py"):
            compile(mutated, self.file, "exec")
        if mutated == text:
            raise Stale(f"{self.name} changes nothing")
        return mutated
