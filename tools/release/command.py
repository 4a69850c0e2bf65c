"""Runs the programs that a release is made with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
Words = list[str | Path]


class Failed(Exception):
    """The release cannot be made. The text says why."""


def run(
    command: Sequence[str | Path], *, cwd: Path = ROOT, environ: Mapping[str, str] | None = None
) -> str:
    """What the command writes to stdout. Raises Failed, with all that it wrote.

    Programs of this virtual environment are found before those of the system.
    """
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**_environ(), **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise Failed(f"{' '.join(words)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def _environ() -> dict[str, str]:
    """Without this tree's modules, which an installed program must not see."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return {**environ, "PATH": f"{BIN}{os.pathsep}{environ.get('PATH', os.defpath)}"}
