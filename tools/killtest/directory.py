"""Reads the directory of a log; changes nothing."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from types import TracebackType

import beanstalkd_wal as wal
from testkit.daemon import POLL_S


def sizes(directory: str | Path) -> dict[str, int]:
    """name -> size of each file; files that are deleted meanwhile may be missing."""
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
    """Names of the segments, the oldest first."""
    return sorted(name for name in sizes(directory) if name.endswith(".wal"))


def contents(directory: str | Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def lsn_at_rest(directory: str | Path, never_synced: bool) -> int | None:
    """The last LSN of a log that ends with a whole frame and whose durable watermark covers all
    records. Under -F there is no watermark. Otherwise None.
    """
    try:
        replay = wal.Replay(directory)
        deque(replay, maxlen=0)
    except (OSError, wal.WalError):  # a segment is being written or deleted
        return None
    last = replay.next_lsn - 1
    covered = never_synced or replay.watermark >= last
    return last if covered and replay.torn is None else None


class PeakSize:
    """Records the peak size of a directory, in a thread."""

    def __init__(self, directory: str | Path) -> None:
        self.nbytes = 0
        self.sizes: dict[str, int] = {}
        self._directory = directory
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            found = sizes(self._directory)
            nbytes = sum(found.values())
            if nbytes > self.nbytes:
                self.nbytes, self.sizes = nbytes, found

    def __enter__(self) -> PeakSize:
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
