"""The time of both servers, in the judge's hand: so that delays and TTRs end when it says, and cost
nothing.

May know: the C compiler, clock.c. Promises: every server that was started with `environment` reads
the same time, which stands still between two moves but for `stir_ns`; it never goes back unless
`set_wall` says so. Without a compiler: NoCompiler.
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

SECOND = 1_000_000_000
_SOURCE = Path(__file__).with_name("clock.c")
_HANDS = struct.Struct("=qqq")
_WALL_START = 1_700_000_000 * SECOND
# Far ahead of the kernel's own: a deadline computed from it is in the kernel's future, where it
# stays.
_MONOTONIC_START = 1_000_000_000 * SECOND


class NoCompiler(RuntimeError):
    """There is no cc to make the clock with."""


def find_compiler() -> str | None:
    return shutil.which("cc")


class Clock:
    """now: monotonic ns, where the hands stand. stir_ns: how far beyond them a server may read, by
    looking again and again.
    """

    def __init__(self) -> None:
        compiler = find_compiler()
        if compiler is None:
            raise NoCompiler("no C compiler (cc): without it the servers' time cannot be held")
        self._folder = tempfile.TemporaryDirectory(prefix="judge.clock.")
        library, hands = Path(self._folder.name, "clock.so"), Path(self._folder.name, "hands")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
        with open(hands, "w+b") as file:
            file.truncate(_HANDS.size)
            self._page = mmap.mmap(file.fileno(), _HANDS.size)
        self.environment = {"LD_PRELOAD": os.fspath(library), "JUDGE_CLOCK": os.fspath(hands)}
        self._ahead = 0
        self.reset()

    def reset(self, stir_ns: int = SECOND) -> None:
        """Back to the start, for servers that are not started yet."""
        self.stir_ns = stir_ns
        self.now = _MONOTONIC_START
        self._ahead = 0
        self._show()

    def set(self, now: int) -> None:
        """Monotonic ns; the wall clock moves along."""
        assert now >= self.now, "time goes on"
        self.now = now
        self._show()

    def set_wall(self, seconds: int) -> None:
        """Somebody sets the wall clock, by so many seconds."""
        self._ahead += seconds * SECOND
        self._show()

    def _show(self) -> None:
        self._page[: _HANDS.size] = _HANDS.pack(
            _WALL_START + self._ahead + self.now - _MONOTONIC_START, self.now, self.stir_ns
        )

    def close(self) -> None:
        self._page.close()
        self._folder.cleanup()

    def __enter__(self) -> Clock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
