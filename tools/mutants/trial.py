"""A mutant on trial: the command that must notice it is run on the whole tree, where it must
succeed, and on the broken one.

May know: exit statuses and what is printed. A command is `tests/FILE.py::TEST` (with more of
pytest's words behind it) or `RUNG WORDS`.
"""

from __future__ import annotations

import re
import shlex
import subprocess

from .mutant import Mutant, Stale
from .tree import Tree

# What a mutant must not be noticed by: it would show that it is badly written, and nothing else.
_CLUMSY = re.compile(
    r"\b(SyntaxError|NameError|UnboundLocalError|ImportError|ModuleNotFoundError)\b|error: (unrecognized|argument|the following)"
)
SAID_MAX = 3000  # characters of what was said, in a report
NOTICED = "noticed"


class Trials:
    """Knows which commands have succeeded on the whole tree, so that each is run there only once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._whole: dict[str, str] = {}

    def verdict(self, mutant: Mutant, command: str) -> str:
        """NOTICED, or what else happened."""
        if command not in self._whole:
            self._whole[command] = _complaint(*self._run(command))
        if complaint := self._whole[command]:
            self._whole[command] = "as said above"
            return f"`{command}` fails without it:\n{complaint}"
        try:
            with self._tree.broken(mutant):
                status, said = self._run(command)
        except (Stale, SyntaxError) as error:
            return str(error)
        if status == 0:
            return f"NOT noticed by `{command}`"
        if (
            status != 1
            or _CLUMSY.search(said)
            or (_is_test(command) and not re.search(r"\b\d+ failed", said))
        ):
            return (
                f"`{command}` ends with {status}, but not because it noticed:\n{said[-SAID_MAX:]}"
            )
        return NOTICED

    def _run(self, command: str) -> tuple[int, str]:
        try:
            done = self._tree.run(arguments(command))
        except subprocess.TimeoutExpired:
            return -1, "it did not end"
        return done.returncode, done.stdout


def _complaint(status: int, said: str) -> str:
    return f"status {status}\n{said[-SAID_MAX:]}" if status else ""


def _is_test(command: str) -> bool:
    return command.startswith("tests/")


def arguments(command: str) -> list[str]:
    """For the interpreter."""
    words = shlex.split(command)
    if _is_test(command):
        return ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words]
    return ["-m", *words]
