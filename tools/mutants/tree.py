"""A temporary copy of the source tree, in which one mutant at a time is applied.

The original tree is never changed. A command that runs in the copy imports only from the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]
PARTS = (
    "wal",
    "beanstalkd_py",
    "tools",
    "tests",
    "docs",
    "deploy",
    "debian",
    "Dockerfile",
    ".dockerignore",
    "setup.cfg",
    "pyproject.toml",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
)
TIMEOUT_S = 600.0
_PRINT_IMPORTS = (
    "import beanstalkd_wal, beanstalkd_py; print(beanstalkd_wal.__file__, beanstalkd_py.__file__)"
)


class Tree:
    """root: the folder of the copy."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Applies the mutant to the copy, and restores the file at the end.

        Raises Stale or SyntaxError.
        """
        path = self.root / mutant.file
        original = path.read_text()
        path.write_text(mutant.source(self.root))
        try:
            yield
        finally:
            path.write_text(original)

    def run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Runs Python in the copy. Stdout and stderr are collected in one string.

        Raises subprocess.TimeoutExpired.
        """
        folders = (self.root, self.root / "wal", self.root / "tools")
        # No bytecode: Python would not notice a file that changes twice within one second.
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
        )


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Tree]:
    with tempfile.TemporaryDirectory(prefix="mutants.") as name:
        copy = Path(name).resolve()
        for part in PARTS:
            _copy(root / part, copy / part)
        tree = Tree(copy)
        output = tree.run(["-c", _PRINT_IMPORTS]).stdout
        assert output.count(str(copy)) == 2, f"the copy is not imported, but {output}"
        yield tree


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.so")
        )
    elif source.exists():
        shutil.copy(source, target)
