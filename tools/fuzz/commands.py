"""Damaged and forged logs in real directories, for every command of `beanstalkd-binlog`: an exit
status of its own, no traceback, and after `repair` nothing is left for `verify` to find.
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
from .logs import Files, a_log
from .mutate import files as damaged

INPUTS = 3  # of each log
LOOKS = [
    [command, *options]
    for command in ("verify", "ls", "dump", "jobs", "stats")
    for options in ([], ["--json"])
]


def run(seed: int, count: Count) -> None:
    """Some inputs, decided by the seed. Raises whatever is wrong."""
    rng = Random(f"commands {seed}")
    whole = a_log(rng)
    for _ in range(INPUTS):
        files = forged(rng, whole) if rng.random() < 0.6 else damaged(rng, whole)
        with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
            directory = Path(scratch) / "log"
            directory.mkdir()
            for name, data in files.items():
                (directory / name).write_bytes(data)
            one(directory, files, rng, count)


def one(directory: Path, files: Files, rng: Random, count: Count) -> None:
    nbytes = sum(map(len, files.values()))
    count.input(nbytes)
    before = contents(directory)
    for look in [*rng.sample(LOOKS, 4), ["history", "1"], ["repair", "--dry-run"]]:
        bounds.bounded(20 * nbytes, lambda look=look: said(directory, *look))  # type: ignore[misc]
    assert contents(directory) == before, "looking has changed something"
    if said(directory, "repair")[0] == status.CLEAN:
        count.add("repaired")
        found, text = said(directory, "verify")
        assert found == status.CLEAN, f"repaired, and yet verify says {text}"
        said(directory, "compact")
        said(directory, "export", str(directory.parent / "exported"))


def contents(directory: Path) -> Files:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}


def said(directory: Path, command: str, *options: str) -> tuple[int, str]:
    """Exit status and output."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text):
        found = command_line([command, str(directory), *options])
    assert found in (status.CLEAN, status.TORN, status.CORRUPT, status.BAD_LOG, status.NO_LOG), (
        f"{command}: status {found}: {text.getvalue()}"
    )
    return found, text.getvalue()
