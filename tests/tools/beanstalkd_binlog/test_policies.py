"""Policies of tubes, as the tools show them."""

from __future__ import annotations

from pathlib import Path

import pytest

from beanstalkd_py.binlog.records import TubePolicy
from tests.tools.beanstalkd_binlog.logs import put, write


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log", [put(1), TubePolicy(b"work", 3, b"dead")])


def test_dump_shows_the_settings(run, lines, log):
    row = run("dump", log).stdout.splitlines()[2]
    assert row.split()[5:7] == ["policy", "work"]
    assert row.endswith("max-attempts 3, dead-tube dead")
    line = lines("dump", log)[1]
    assert (line["tube"], line["max_attempts"], line["dead_tube"]) == ("work", 3, "dead")
    assert run("verify", log).exit_code == 0


def test_export_says_that_policies_are_lost(run, log, tmp_path):
    done = run("export", log, tmp_path / "c")
    assert done.exit_code == 0
    assert "the C server knows no policies: 1 tube had one" in done.stderr
