"""What is tried before a release: each wheel, and the source distribution on a machine without a C
compiler, installed in an empty environment and started as systemd does.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from . import trial, unit, wheels
from .command import ROOT, Failed, Words, run

PURE = "modules: pure Python; batched socket I/O: in Python"
COMPILED = "modules: compiled; batched socket I/O: in C"


def lint() -> None:
    run(["hadolint", ROOT / "Dockerfile"])
    for manifest in (ROOT / "deploy" / "kubernetes").glob("*.yaml"):
        run(["kubernetes-validate", "--strict", manifest])


def check(work: Path, dist: Path) -> Path:
    """Returns the interpreter of the environment with the compiled wheel."""
    sdist = wheels.source(dist)
    files = [sdist, wheels.pure(dist), wheels.compiled(dist)]
    run([sys.executable, "-m", "twine", "check", "--strict", *files])
    program = installed(sdist, work / "without-compiler", PURE, {"CC": "false"})
    started(program)
    program = installed(files[1], work / "pure", PURE)
    scenarios(program)
    program = installed(files[2], work / "compiled", COMPILED)
    started(program)
    scenarios(program)
    return program.with_name("python")


def installed(
    package: Path, environment: Path, build: str, environ: Mapping[str, str] | None = None
) -> Path:
    """Installs the package in an empty environment, and returns its program."""
    run([sys.executable, "-m", "venv", "--without-pip", "--clear", environment])
    pip: Words = [sys.executable, "-m", "pip", "--python", environment / "bin" / "python"]
    run([*pip, "install", "--quiet", package], environ=environ)
    program = environment / "bin" / "beanstalkd-py"
    said = run([program, "-v"])
    if build not in said:
        raise Failed(f"{package.name}: expected {build!r}, found {said!r}")
    run([program.with_name("beanstalkd-binlog"), "--help"])
    return program


def started(program: Path) -> None:
    """Starts the program with the command line and the file of the systemd unit."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "beanstalkd-py.toml")
        config.write_text(unit.CONFIG.read_text().replace(unit.DIRECTORY, directory))
        with trial.daemon(unit.command(str(program), str(config))) as server:
            trial.through_a_kill(server, [program])
            trial.take(server.start())


def scenarios(program: Path) -> None:
    """The scenarios of tests/, with the installed server."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/scenarios"]
    run(command, environ={"BEANSTALKD_PROGRAM": str(program)})
