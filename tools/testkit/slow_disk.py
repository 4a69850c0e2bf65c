"""Syncs of a real server that wait until they may go on. A library is preloaded for that."""

from __future__ import annotations

import os
from pathlib import Path

from .preload import library

SOURCE = Path(__file__).with_name("slow_disk.c")


class SlowDisk:
    """environ: for the server. threads: only the syncs of the log's threads wait."""

    def __init__(self, folder: Path, threads: bool = False) -> None:
        self._gate = folder / "gate"
        self._calls = folder / "calls"
        self.environ = {
            "LD_PRELOAD": os.fspath(library(SOURCE)),
            "SLOW_DISK_GATE": os.fspath(self._gate),
            "SLOW_DISK_CALLS": os.fspath(self._calls),
            **({"SLOW_DISK_THREADS": "1"} if threads else {}),
        }

    def stop(self) -> None:
        """Syncs wait from now on."""
        self._gate.touch()

    def go_on(self) -> None:
        self._gate.unlink()

    @property
    def calls(self) -> int:
        """Syncs so far, those that wait included."""
        return self._calls.stat().st_size if self._calls.exists() else 0
