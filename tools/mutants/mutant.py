"""One law broken in one place: an exact piece of source, what stands in its place, and who must
notice.

May know: text. Promises: a piece that is not there exactly once is an error (Stale), never a mutant
that changes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

WORLDS = "simulation --seed 1 --seconds 40"  # ends as soon as it has noticed something


class Stale(Exception):
    """The source has changed: the mutant must be written anew, or its law is kept in another place
    now.
    """


class Mutant(NamedTuple):
    """law: its number in docs/architecture.md ("Laws"); 0 is the behaviour of the C server.

    broken: what is wrong now, in a few words. file: from the root. caught_by: commands, the
    quickest first, as `trial` knows them.
    """

    law: int
    name: str
    broken: str
    file: str
    piece: str
    instead: str
    caught_by: tuple[str, ...]

    def source(self, root: Path) -> str:
        """The file's text with the law broken. Raises Stale, or SyntaxError if it is no Python any
        more.
        """
        text = (root / self.file).read_text()
        count = text.count(self.piece)
        if count != 1:
            raise Stale(f"{self.name}: {self.file} has this piece {count} times:\n{self.piece}")
        broken = text.replace(self.piece, self.instead)
        compile(broken, self.file, "exec")
        if broken == text:
            raise Stale(f"{self.name} changes nothing")
        return broken
