"""A copy of the source tree, in which laws can be broken without harm.

May know: files. Promises: the tree it was copied from is never changed; whatever is run in the copy
imports the copy.
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
    "setup.cfg",
    "pyproject.toml",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
)
PATIENCE_S = 600.0
_WHERE = (
    "import beanstalkd_wal, beanstalkd_py; print(beanstalkd_wal.__file__, beanstalkd_py.__file__)"
)


class Tree:
    """root: of the copy."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def broken(self, mutant: Mutant) -> Iterator[None]:
        """The copy with this law broken. Raises Stale, SyntaxError."""
        path = self.root / mutant.file
        whole = path.read_text()
        path.write_text(mutant.source(self.root))
        try:
            yield
        finally:
            path.write_text(whole)

    def run(self, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """A Python program in the copy; what it says, together. Raises subprocess.TimeoutExpired."""
        # No bytecode: what is written twice within a second would pass for unchanged.
        environment = {
            **os.environ,
            "PYTHONPATH": f"{self.root}{os.pathsep}{self.root / 'wal'}{os.pathsep}{self.root / 'tools'}",
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
            timeout=PATIENCE_S,
        )


@contextmanager
def copied(root: Path = ROOT) -> Iterator[Tree]:
    with tempfile.TemporaryDirectory(prefix="mutants.") as name:
        copy = Path(name).resolve()
        for part in PARTS:
            _copy(root / part, copy / part)
        tree = Tree(copy)
        said = tree.run(["-c", _WHERE]).stdout
        assert said.count(str(copy)) == 2, f"not the copy is imported, but {said}"
        yield tree


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "*.so")
        )
    elif source.exists():
        shutil.copy(source, target)
