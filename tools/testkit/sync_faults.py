"""Syncs that fail in a program that runs with `environment`: see sync_faults.c."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("sync_faults.c")


class NoCompiler(RuntimeError):
    """There is no cc to compile the library."""


class SyncFaults:
    """The compiled library, in `folder`."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            raise NoCompiler("no C compiler (cc): it is needed for syncs that fail")
        self._library = folder / "sync_faults.so"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", self._library, _SOURCE], check=True)

    def environment(self, **faults: int | str) -> dict[str, str]:
        """faults: the variables that sync_faults.c describes."""
        return {
            "LD_PRELOAD": os.fspath(self._library),
            **{name: str(value) for name, value in faults.items()},
        }
