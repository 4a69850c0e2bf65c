"""Damaged and forged logs on disk for every command of `beanstalkd-binlog`.

A command must end with one of its own exit statuses and without a traceback. After `repair`,
`verify` must find nothing.
"""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

from beanstalkd_binlog import status
from beanstalkd_binlog.cli import run as command_line

from . import bounds
from .count import Count
from .forge import forged
from .logs import Files, make_log
from .mutate import files as damaged

INPUTS = 3  # of each log
READ_COMMANDS = [
    [command, *options]
    for command in ("verify", "ls", "dump", "jobs", "stats")
    for options in ([], ["--json"])
]


def run(seed: int, count: Count) -> None:
    """Generates and checks some inputs from the seed."""
    rng = Random(f"commands {seed}")
    whole = make_log(rng)
    for _ in range(INPUTS):
        files = forged(rng, whole) if rng.random() < 0.6 else damaged(rng, whole)
        with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
            directory = Path(scratch) / "log"
            directory.mkdir()
            for name, data in files.items():
                (directory / name).write_bytes(data)
            check(directory, files, rng, count)


def check(directory: Path, files: Files, rng: Random, count: Count) -> None:
    nbytes = sum(map(len, files.values()))
    count.input(nbytes)
    before = contents(directory)
    for look in [*rng.sample(READ_COMMANDS, 4), ["history", "1"], ["repair", "--dry-run"]]:
        bounds.bounded(20 * nbytes, lambda look=look: call(directory, *look))  # type: ignore[misc]
    assert contents(directory) == before, "a reading command changed the directory"
    if call(directory, "repair")[0] == status.CLEAN:
        count.add("repaired")
        found, text = call(directory, "verify")
        assert found == status.CLEAN, f"verify after repair says {text}"
        call(directory, "compact")
        call(directory, "export", str(directory.parent / "exported"))


def contents(directory: Path) -> Files:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def call(directory: Path, command: str, *options: str) -> tuple[int, str]:
    """Exit status and output."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        found = command_line([command, str(directory), *options])
    assert found in (status.CLEAN, status.TORN, status.CORRUPT, status.BAD_LOG, status.NO_LOG), (
        f"{command}: status {found}: {text.getvalue()}"
    )
    return found, text.getvalue()
