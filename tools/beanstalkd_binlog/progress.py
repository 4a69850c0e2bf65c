"""The progress bar of long work.

Promises: the bar is on stderr, only if stderr is a terminal, and never mixed with other output.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol

import click

DELAY_S = 0.5  # work that is done sooner shows no bar


class Reporter(Protocol):
    """Called with bytes done and bytes in all. It is closed before anything else is printed."""

    def __call__(self, done: int, total: int) -> None: ...

    def close(self) -> None: ...


class Silent:
    """A Reporter that shows nothing."""

    def __call__(self, done: int, total: int) -> None:
        pass

    def close(self) -> None:
        pass


class Progress:
    """A bar; a context manager that closes it. wanted: False if stdout writes to the terminal at
    the same time.
    """

    def __init__(self, label: str, wanted: bool = True) -> None:
        self._label = label
        self._wanted = wanted and sys.stderr.isatty()
        self._started_at = time.monotonic()
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
            if time.monotonic() - self._started_at < DELAY_S:
                return
            self._bar = self._new_bar(total)
        self._bar.length = max(total, 1)
        self._bar.update(max(0, min(done, total) - self._bar.pos))

    def _new_bar(self, total: int) -> Any:
        steps = max(total // 200, 1)
        return click.progressbar(
            length=total, label=self._label, file=sys.stderr, update_min_steps=steps
        )
