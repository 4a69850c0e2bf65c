"""Policies of tubes, as the tools show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from beanstalkd_py.binlog.records import TubePolicy
from beanstalkd_py.queue.policy import Policy
from tests.tools.beanstalkd_binlog.logs import put, write


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log", [put(1), TubePolicy(b"work", Policy(3, b"dead"))])


def test_dump_shows_the_settings(run, lines, log):
    row = run("dump", log).stdout.splitlines()[2]
    assert row.split()[5:7] == ["policy", "work"]
    assert row.endswith("max-attempts 3, dead-tube dead")
    line = lines("dump", log)[1]
    assert (line["tube"], line["max_attempts"], line["dead_tube"]) == ("work", 3, "dead")
    assert run("verify", log).exit_code == 0


def test_dump_shows_limits(run, lines, tmp_path):
    policy = Policy(max_jobs=5, max_bytes=6, max_reserved=7, expire=8)
    log = write(tmp_path / "log", [TubePolicy(b"work", policy)])
    row = run("dump", log).stdout.splitlines()[1]
    assert row.endswith("max-jobs 5, max-bytes 6, max-reserved 7, expire 8")
    (line,) = lines("dump", log)
    assert {line[name] for name in ("max_jobs", "max_bytes", "max_reserved", "expire")} == {
        5, 6, 7, 8,
    }  # fmt: skip


def test_export_says_that_policies_are_lost(run, log, tmp_path):
    done = run("export", log, tmp_path / "c")
    assert done.exit_code == 0
    assert "the C server knows no policies: 1 tube had one" in done.stderr
