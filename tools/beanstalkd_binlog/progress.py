"""The progress bar of long work: on stderr, if that is a terminal, and never in the midst of other
output.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import click

QUIET_S = 0.5  # shorter work shows none


class Reporter(Protocol):
    """Is called with bytes done and in all; closed before anything else is printed."""

    def __call__(self, done: int, total: int) -> None: ...

    def close(self) -> None: ...


class Silent:
    """Reports nothing."""

    def __call__(self, done: int, total: int) -> None:
        pass

    def close(self) -> None:
        pass


class Progress:
    """A bar. `wanted` is False where stdout writes to the terminal meanwhile. Use as a context; it
    is closed at the end at the latest.
    """

    def __init__(self, label: str, wanted: bool = True) -> None:
        self._label = label
        self._wanted = wanted and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._wanted = False
        if self._bar is not None:
            self._bar.render_finish()
            self._bar = None

    def __call__(self, done: int, total: int) -> None:
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._begin < QUIET_S:
                return
            self._bar = click.progressbar(
                length=total,
                label=self._label,
                file=sys.stderr,
                update_min_steps=max(total // 200, 1),
            )
        self._bar.length = max(total, 1)
        self._bar.update(max(0, min(done, total) - self._bar.pos))
