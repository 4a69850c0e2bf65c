"""python -m killtest, as one calls it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def crash(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": ".:tools", "TMPDIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "killtest", *options],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )


def test_its_last_line_says_what_was_done_and_nothing_is_left(tmp_path):
    done = crash(tmp_path, "--seed", "2", "--rounds", "1", "--connections", "10")
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"crash: seeds 2\.\.2, 1 rounds, killed at (\d+ x [a-z: ]+, )+\d+ answers, ok", last
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_says_how_to_see_it_again_and_keeps_the_directory(tmp_path):
    done = crash(tmp_path, "--seed", "2", "--rounds", "40", "--program", "/bin/false")
    assert done.returncode == 1
    assert "seed 2, round 1" in done.stderr and "status 1" in done.stderr
    (directory,) = tmp_path.iterdir()
    kept, again = done.stderr.splitlines()[-2:]
    assert kept == f"the directory is kept: {directory}"
    assert again == "again: make killtest SEED=2 ROUNDS=20 PROGRAM=/bin/false"
