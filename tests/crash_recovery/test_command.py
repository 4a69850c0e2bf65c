"""The command line of python -m killtest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def killtest(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": ".:tools", "TMPDIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-m", "killtest", *options],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )


def test_last_line_is_a_summary_and_no_file_is_left(tmp_path):
    done = killtest(tmp_path, "--seed", "2", "--rounds", "1", "--connections", "10")
    assert done.stderr == ""
    assert done.returncode == 0
    last = done.stdout.splitlines()[-1]
    assert re.fullmatch(
        r"killtest: seeds 2\.\.2, 1 rounds, killed at (\d+ x [a-z: ]+, )+\d+ answers, ok", last
    )
    assert list(tmp_path.iterdir()) == []


def test_failure_names_the_repeat_command_and_directory(tmp_path):
    done = killtest(tmp_path, "--seed", "2", "--rounds", "40", "--program", "/bin/false")
    assert done.returncode == 1
    assert "seed 2, round 1" in done.stderr and "status 1" in done.stderr
    (directory,) = tmp_path.iterdir()
    kept, repeat = done.stderr.splitlines()[-2:]
    assert kept == f"the directory is kept: {directory}"
    assert repeat == "repeat: make killtest SEED=2 ROUNDS=20 PROGRAM=/bin/false"
