"""The commands in docs/testing.md that show old bugs: each one selects at least one test."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = sorted(set(re.findall(r"`pytest ([^`]+)`", (ROOT / "docs/testing.md").read_text())))


def collect(paths: Iterable[str]) -> list[str]:
    """The tests in these files and folders."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def selected(command: str, tests: list[str]) -> list[str]:
    """The tests that the command runs: words after -k are joined by `or` only."""
    path, *option = shlex.split(command)
    words = option[1].split(" or ") if option else [""]
    return [test for test in tests if test.startswith(path) and any(w in test for w in words)]


def unselective(commands: list[str], tests: list[str]) -> list[str]:
    return [command for command in commands if not selected(command, tests)]


@pytest.mark.sources
def test_page_names_existing_tests(request: pytest.FixtureRequest) -> None:
    """A run of all tests has collected them already."""
    assert len(COMMANDS) > 30
    missing = unselective(COMMANDS, [item.nodeid for item in request.session.items])
    if missing:
        missing = unselective(missing, collect({command.split()[0] for command in missing}))
    assert missing == []


def test_renamed_test_is_noticed() -> None:
    tests = ["tests/wal/test_log.py::test_append"]
    assert selected("tests/wal/test_log.py -k append", tests) == tests
    assert selected("tests/wal/test_log.py -k commit", tests) == []
