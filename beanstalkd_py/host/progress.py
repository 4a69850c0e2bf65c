"""Shows the progress of a long replay: a bar on a terminal, otherwise a line every few seconds."""

import io
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from beanstalkd_py.host.events import Report
from beanstalkd_py.host.notify import Notify

QUIET_S = 2.0  # a shorter replay shows nothing
EVERY_S = 5.0  # between lines
EXTEND_S = 60  # by which each report extends the service manager's start timeout


class Progress:
    """To be called with the bytes done and the bytes in total; `close` ends the display.

    each: called at each call.
    """

    def __init__(
        self, label: str, report: Report, notify: Notify, may_show_bar: bool = True
    ) -> None:
        self._label = label
        self._report = report
        self._notify = notify
        self._next = time.monotonic() + QUIET_S
        # sys.stderr is None if descriptor 2 was closed at the start.
        self._terminal = may_show_bar and sys.stderr is not None and sys.stderr.isatty()
        # Created now, because after -u the user may not be able to read click. Only for a
        # terminal, because to import click takes a tenth of the time of a start.
        self._bar: Any = _bar(label) if self._terminal else None
        self._shown = False
        self.each: Callable[[], None] = lambda: None

    def __call__(self, done: int, total: int) -> None:
        self.each()
        now = time.monotonic()
        if now < self._next:
            return
        share = f"{self._label}: {done * 100 // max(total, 1)} % of {total / 1e6:.0f} MB"
        self._notify(STATUS=share, EXTEND_TIMEOUT_USEC=EXTEND_S * 1_000_000)
        if self._terminal:
            self._next = now + 0.1
            self._bar.length = total
            self._shown = True
            with suppress(OSError):
                self._bar.update(done - self._bar.pos)
        else:
            self._next = now + EVERY_S
            self._report(share, event="reading", done=done, total=total)

    def close(self) -> None:
        if self._shown:
            with suppress(OSError):
                self._bar.update(self._bar.length - self._bar.pos)
                self._bar.render_finish()


def _bar(label: str) -> Any:
    import click

    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="surrogateescape")  # a path need not be UTF-8
    return click.progressbar(length=1, label=label, file=sys.stderr)
