"""Libraries in C that are preloaded into a server. Each is compiled once in a process. `Page` holds
integers that such a library reads while the server runs.
"""

from __future__ import annotations

import atexit
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from .closing import Closing


class NoCompiler(RuntimeError):
    """There is no cc to compile a library."""


@cache
def library(source: Path) -> Path:
    """The compiled library. It is deleted when this process ends."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise NoCompiler(f"no C compiler (cc): it is needed for {source.name}")
    folder = tempfile.TemporaryDirectory(prefix="preload.")
    atexit.register(folder.cleanup)
    path = Path(folder.name, source.stem + ".so")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", path, source], check=True)
    return path


class Page(Closing):
    """Integers of 64 bits in a file that the library has mapped. source: of the library. variable:
    of the environment; names the file. fields: how many integers.

    environment: for the processes that preload the library. Raises NoCompiler.
    """

    def __init__(self, source: Path, variable: str, fields: int) -> None:
        preloaded = library(source)
        self._layout = struct.Struct(f"={fields}q")
        self._folder = tempfile.TemporaryDirectory(prefix="preload.")
        path = Path(self._folder.name, "page")
        with open(path, "w+b") as file:
            file.truncate(self._layout.size)
            self._page = mmap.mmap(file.fileno(), self._layout.size)
        self.environment = {"LD_PRELOAD": os.fspath(preloaded), variable: os.fspath(path)}

    def write(self, *values: int) -> None:
        self._page[: self._layout.size] = self._layout.pack(*values)

    def close(self) -> None:
        self._page.close()
        self._folder.cleanup()
