"""The software bill of materials (CycloneDX) of an environment with the installed wheel."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from beanstalkd_py import __version__

from .command import Words, run

_ASK = "import importlib.metadata as m; print(*m.requires('beanstalkd-py'), sep='\\n')"


def write(python: Path, to: Path, work: Path) -> None:
    """python: the interpreter of the environment. work: a directory for a file in between."""
    project = work / "sbom.toml"
    project.write_text(described(run([python, "-c", _ASK]).splitlines()))
    command: Words = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        python,
        "--pyproject",
        project,
    ]
    run([*command, "--output-reproducible", "--output-file", to])


def described(requirements: Iterable[str]) -> str:
    """The program as the root of the bill, with what it needs; extras are not installed."""
    needed = [each for each in requirements if "extra ==" not in each]
    return (
        f'[project]\nname = "beanstalkd-py"\nversion = "{__version__}"\n'
        f"dependencies = {json.dumps(needed)}\n"
    )
