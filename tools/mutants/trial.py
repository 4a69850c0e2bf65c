"""Runs a command on the unchanged tree, where it must succeed, and on a mutated one, where it must
fail.

A command is `tests/FILE.py::TEST`, with more arguments of pytest after it, or `CHECK ARGUMENTS`,
where CHECK is a package in tools/.
"""

from __future__ import annotations

import re
import shlex
import subprocess

from .mutant import Mutant, Stale
from .tree import Tree

# Errors that show a badly written mutant. A failure with one of them proves nothing.
_INVALID_MUTANT = re.compile(
    r"\b(SyntaxError|NameError|UnboundLocalError|ImportError|ModuleNotFoundError)\b"
    r"|error: (unrecognized|argument|the following)"
)
OUTPUT_MAX = 3000  # characters of output in a report
DETECTED = "detected"


class Trials:
    """Runs each command only once on the unchanged tree, and remembers the outcome."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._unchanged: dict[str, str] = {}  # command -> error message, "" if it succeeded

    def verdict(self, mutant: Mutant, command: str) -> str:
        """DETECTED, or a message that explains what happened instead."""
        if command not in self._unchanged:
            self._unchanged[command] = _error(*self._run(command))
        if error := self._unchanged[command]:
            self._unchanged[command] = "see the message above"
            return f"`{command}` fails without the mutant:\n{error}"
        try:
            with self._tree.mutated(mutant):
                status, output = self._run(command)
        except (Stale, SyntaxError) as error:
            return str(error)
        if status == 0:
            return f"NOT detected by `{command}`"
        if not _is_detection(command, status, output):
            return (
                f"`{command}` ends with status {status}, but did not detect the mutant:\n"
                f"{output[-OUTPUT_MAX:]}"
            )
        return DETECTED

    def _run(self, command: str) -> tuple[int, str]:
        try:
            done = self._tree.run(arguments(command))
        except subprocess.TimeoutExpired:
            return -1, "it did not end"
        return done.returncode, done.stdout


def _is_detection(command: str, status: int, output: str) -> bool:
    if status != 1 or _INVALID_MUTANT.search(output):
        return False
    return not _is_test(command) or bool(re.search(r"\b\d+ failed", output))


def _error(status: int, output: str) -> str:
    return f"status {status}\n{output[-OUTPUT_MAX:]}" if status else ""


def _is_test(command: str) -> bool:
    return command.startswith("tests/")


def arguments(command: str) -> list[str]:
    """The arguments for the Python interpreter."""
    words = shlex.split(command)
    if _is_test(command):
        return ["-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *words]
    return ["-m", *words]
