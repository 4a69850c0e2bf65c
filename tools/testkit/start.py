"""The type of the fixtures `launch` and `start` of tests/conftest.py."""

from __future__ import annotations

from typing import Any, Protocol

from .daemon import Daemon


class Start(Protocol):
    def __call__(self, *options: str, **how: Any) -> Daemon: ...
