"""Libraries in C that are preloaded into a server. Each is compiled once in a process."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path


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
