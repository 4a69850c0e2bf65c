"""docs/binlog-tools.md names every JSON field, every event, every option and every status."""

from __future__ import annotations

import re

import pytest
from beanstalkd_binlog import status
from beanstalkd_binlog.cli import KINDS, cli
from testkit.daemon import ROOT

PAGE = (ROOT / "docs/binlog-tools.md").read_text()
READING = ("ls", "dump", "jobs", "history", "stats", "verify", "follow")


def keys(found: object) -> set[str]:
    """All names of fields, except those that are data: names of tubes, states and kinds."""
    if isinstance(found, list):
        return set().union(*map(keys, found))
    if isinstance(found, dict):
        if found.keys() == {"ready", "delayed", "buried"}:
            return keys([*found.values()])
        inner = [
            [*value.values()] if name in ("tubes", "paused", "kinds") else value
            for name, value in found.items()
        ]
        return {*found, *keys(inner)}
    return set()


def section(command: str) -> str:
    return re.split(rf"^## {command}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]


@pytest.mark.parametrize("command", ["ls", "dump", "jobs", "stats", "verify"])
def test_every_field_is_documented(lines, golden, command):
    named = set(re.findall(r"`([a-z_]+)`", section(command) + PAGE.split("## ls")[0]))
    found = set().union(*(keys(lines(command, directory)) for directory in golden.values()))
    assert {
        name for name in found if name.removesuffix("_ns") not in named and name not in named
    } == set()


def test_every_kind_and_event_is_documented():
    assert {kind for kind in KINDS if f"`{kind}`" not in section("dump")} == set()


def test_every_command_and_option_is_documented():
    for name in READING:
        assert f"| [`{name} DIR" in PAGE
        for parameter in cli.commands[name].params:
            assert any(option in PAGE for option in [*parameter.opts, "DIR"]), (
                name,
                parameter.name,
            )


def test_every_status_is_documented():
    numbers = {
        value for name, value in vars(status).items() if name.isupper() and isinstance(value, int)
    }
    table = PAGE.split("**Exit statuses**")[1].split("\n\n")[1]
    assert {int(number) for number in re.findall(r"^\| (\d+) ", table, flags=re.MULTILINE)} | {
        status.LOCKED
    } == numbers
