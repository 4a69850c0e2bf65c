"""The progress of a long replay, on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from beanstalkd_py.host import progress
from beanstalkd_py.host.notify import Notify


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_bytes_of_a_path_are_written_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(written, "utf-8", errors="backslashreplace"))
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    shown = progress.Progress("reading caf\udce9", pytest.fail, Notify({}, pytest.fail))
    shown(1, 2)
    shown.close()
    assert b"reading caf\xe9 " in written.getvalue()


def test_bar_does_not_mix_with_json(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(written, "utf-8"))
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    events: list[tuple[str, str, dict[str, object]]] = []

    def report(message: str, event: str = "", **fields: object) -> None:
        events.append((message, event, fields))

    shown = progress.Progress("reading x", report, Notify({}, pytest.fail), may_show_bar=False)
    shown(1_000_000, 4_000_000)
    shown.close()
    assert written.getvalue() == b""
    assert events == [
        ("reading x: 25 % of 4 MB", "reading", {"done": 1_000_000, "total": 4_000_000})
    ]
