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
