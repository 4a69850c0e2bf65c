"""Waiting for something that must happen.

The limit only ends a hang: no machine is so slow that it reaches the limit. It is shorter than the
limit of pytest, so that the message says what was waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable

HANG_S = 300.0
POLL_S = 0.005


def wait_until(
    happens: Callable[[], object],
    what: str | Callable[[], object],
    limit_s: float = HANG_S,
    poll_s: float = POLL_S,
    error: type[Exception] = AssertionError,
) -> None:
    """Polls `happens` until it is true. After limit_s, raises the error with `what` in it."""
    give_up_at = time.monotonic() + limit_s
    while not happens():
        if time.monotonic() > give_up_at:
            raise error(f"not within {limit_s:g} s: {what() if callable(what) else what}")
        time.sleep(poll_s)
