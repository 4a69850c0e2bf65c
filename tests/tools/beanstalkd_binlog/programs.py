"""Starts beanstalkd-binlog as a process."""

from __future__ import annotations

import subprocess
import sys

from testkit.daemon import ROOT

PROGRAM = [sys.executable, "-m", "beanstalkd_binlog"]


def started(*words: object, **options: object) -> subprocess.Popen:
    return subprocess.Popen(
        [*PROGRAM, *map(str, words)], cwd=ROOT / "tools", stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload]
