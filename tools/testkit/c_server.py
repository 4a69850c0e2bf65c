"""The C server: Debian's beanstalkd, the reference for our behaviour."""

from __future__ import annotations

import os
import shutil

PATH = os.pathsep.join(
    filter(None, [os.environ.get("PATH"), "/usr/sbin", "/usr/bin", "/usr/local/bin"])
)


def find_c_server() -> str | None:
    """Its path, if it is installed. A script of the same name does not count."""
    for folder in PATH.split(os.pathsep):
        path = shutil.which("beanstalkd", path=folder)
        if path and _is_c(path):
            return path
    return None


def _is_c(path: str) -> bool:
    with open(path, "rb") as program:
        return program.read(4) == b"\x7fELF"
