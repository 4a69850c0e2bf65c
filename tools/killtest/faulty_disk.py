"""python -m killtest.faulty_disk FAULT... -- OPTIONS: the server on a disk with faults.

    slow:SECONDS          each sync takes so long
    hold:CALL:FILE        CALL of the file system does not return while FILE exists
    fail:CALL:ERRNO:FILE  CALL of the file system fails with ERRNO (such as EIO) once FILE exists

The faults are in the file-system seam of the log. Without a fault the server is unchanged.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import beanstalkd_wal as wal
from testkit.daemon import POLL_S

from beanstalkd_py import cli


def slow(seconds: str) -> None:
    sync = wal.FileSystem.sync

    def slowly(self: wal.FileSystem, handle: int) -> None:
        time.sleep(float(seconds))
        sync(self, handle)

    wal.FileSystem.sync = slowly  # type: ignore[method-assign]


def hold(call: str, path: str) -> None:
    proper = getattr(wal.FileSystem, call)

    def held(self: wal.FileSystem, *arguments: Any) -> Any:
        result = proper(self, *arguments)
        while os.path.exists(path):
            time.sleep(POLL_S)
        return result

    setattr(wal.FileSystem, call, held)


def fail(call: str, name: str, path: str) -> None:
    proper = getattr(wal.FileSystem, call)
    code = getattr(errno, name)

    def faulty(self: wal.FileSystem, *arguments: Any) -> Any:
        if os.path.exists(path):
            raise OSError(code, os.strerror(code))
        return proper(self, *arguments)

    setattr(wal.FileSystem, call, faulty)


FAULTS: dict[str, Callable[..., None]] = {"slow": slow, "hold": hold, "fail": fail}


def main(argv: list[str]) -> int:
    end = argv.index("--")
    for word in argv[:end]:
        kind, *arguments = word.split(":")
        FAULTS[kind](*arguments)
    return cli.main(["beanstalkd-py", *argv[end + 1 :]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
