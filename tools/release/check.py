"""What is tried before a release: each wheel, the source distribution on a machine without a C
compiler, and the files that an image is built from. Each is installed in an empty environment.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import trial, unit, wheels
from .command import ROOT, Failed, Words, run

PURE = "modules: pure Python; batched socket I/O: in Python"
IN_C = "modules: pure Python; batched socket I/O: in C"
COMPILED = "modules: compiled; batched socket I/O: in C"


def lint() -> None:
    run(["hadolint", ROOT / "Dockerfile"])
    for manifest in (ROOT / "deploy" / "kubernetes").glob("*.yaml"):
        run(["kubernetes-validate", "--strict", manifest])


def check(work: Path, dist: Path) -> Path:
    """Returns the interpreter of the environment with the compiled wheel."""
    sdist, pure, compiled = wheels.source(dist), wheels.pure(dist), wheels.compiled(dist)
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, pure, compiled])
    started(installed(sdist, work / "without-compiler", PURE, {"CC": "false"}))
    installed(context(work / "source", work / "context"), work / "image", IN_C)
    program = None
    for wheel, build in ((pure, PURE), (compiled, COMPILED)):
        program = installed(wheel, work / wheel.stem, build)
        started(program)
        scenarios(program)
    assert program is not None
    return program.with_name("python")


def context(tree: Path, to: Path) -> Path:
    """Copies the files that an image is built from: those that .dockerignore lets through."""
    for line in (tree / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            path = tree / line[1:]
            copy = shutil.copytree if path.is_dir() else shutil.copy2
            (to / line[1:]).parent.mkdir(parents=True, exist_ok=True)
            copy(path, to / line[1:])
    return to


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
    """Tries the service: with a kill, and a job that is still there."""
    with service(program) as command:
        http = Path(command[-1]).with_name("http")
        with trial.daemon(command, http) as server:
            trial.through_a_kill(server, [program], http)
            trial.take(server.start())


def scenarios(program: Path) -> None:
    """Runs the scenarios of tests/ with the service. They choose the address and the directory:
    flags win over the file.
    """
    with service(program) as command:
        pytest = [sys.executable, "-m", "pytest", "-q", "-n", "2", "tests/scenarios"]
        run(pytest, environ={"BEANSTALKD_PROGRAM": shlex.join(command)})


@contextmanager
def service(program: Path) -> Iterator[list[str]]:
    """The command line of the systemd unit, and its file with another directory for the jobs."""
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory, "beanstalkd-py.toml")
        config.write_text(unit.CONFIG.read_text().replace(unit.DIRECTORY, directory))
        yield unit.command(str(program), str(config))
