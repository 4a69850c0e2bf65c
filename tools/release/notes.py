"""The notes of a release: the first section of CHANGELOG.md."""

from __future__ import annotations

import re

from .command import Failed

_SECTION = re.compile(r"^## \[([^]]+)\](?: - (\S+))?\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def notes(changelog: str, version: str) -> str:
    """Raises Failed if the section is empty or belongs to another version."""
    section = _SECTION.search(changelog)
    if section is None or not section[3].strip():
        raise Failed("CHANGELOG.md: its first section is missing or empty")
    name, date, text = section.groups()
    if name not in (version, "Unreleased"):
        raise Failed(f"CHANGELOG.md: its first section is {name}, but the version is {version}")
    when = date or "not yet released"
    return f"# beanstalkd-py {version} ({when})\n\n{text.strip()}\n"
