"""What lies in a log's directory.

May know: files. Promises: nothing is changed, unless it says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from .daemon import LOOK_AGAIN_S

PATIENCE_S = 30.0


def sizes(directory: str | Path) -> dict[str, int]:
    """Bytes of each file; of those that vanish meanwhile, perhaps."""
    found = {}
    for path in Path(directory).iterdir():
        try:
            found[path.name] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found


def total(directory: str | Path) -> int:
    return sum(sizes(directory).values())


def segments(directory: str | Path) -> list[str]:
    """Their names, the oldest first."""
    return sorted(name for name in sizes(directory) if name.endswith(".wal"))


def contents(directory: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def await_that(
    condition: Callable[[], object], what: Callable[[], object], seconds: float = PATIENCE_S
) -> None:
    """Looks again and again; `what` is said if it never comes true."""
    give_up_at = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {seconds:.0f} s: {what()}")
        time.sleep(10 * LOOK_AGAIN_S)


class HighWater:
    """Watches how large a directory gets, in a thread."""

    def __init__(self, directory: str | Path) -> None:
        self.nbytes = 0
        self.sizes: dict[str, int] = {}
        self._directory = directory
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_AGAIN_S):
            found = sizes(self._directory)
            nbytes = sum(found.values())
            if nbytes > self.nbytes:
                self.nbytes, self.sizes = nbytes, found

    def __enter__(self) -> HighWater:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
