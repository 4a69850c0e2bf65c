"""The exception for a failed check: something that the server promised does not hold.

May know: nothing.
"""

from __future__ import annotations


class Violation(BaseException):
    """what: what was expected and what was found. where: the places, innermost first.

    Not an Exception: it is raised in the middle of file-system calls, and the log must not handle
    it as an error of its disk.
    """

    def __init__(self, what: str, *where: str) -> None:
        super().__init__(what, *where)
        self.what = what
        self.where = where

    def __str__(self) -> str:
        return "\n    in ".join((self.what, *self.where))
