"""bench.web: each kind of HTTP clients is there while the puts are measured."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import web


def test_each_kind_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TUBES", 3)
    kinds = tuple(kind._replace(clients=min(kind.clients, 3)) for kind in web.KINDS)
    said: list[str] = []
    web.run(kinds, 0.02, said.append)
    assert [line.split(" | ")[0] for line in said[1:]] == [f"| {kind.name}" for kind in kinds]


def test_page_has_each_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "performance.md").read_text()
    for kind in web.KINDS:
        assert f"\n| {kind.name} | " in page
