"""Which files of a directory the C server would read, in which order; and a whole file read. Changes nothing.

The C server takes every name `binlog.` + whatever `strtol` takes for a number, and then opens `binlog.N` from the lowest to the highest.
"""

import os
import re
import stat
from typing import NamedTuple

_NUMBERED = re.compile(rb"binlog\.([ \t\n\v\f\r]*[+-]?[0-9]+)?")
_CHUNK = 1 << 20


class Found(NamedTuple):
    number: int
    path: str
    size: int  # 0 if it cannot be told: reading the file will say why


def binlog_path(directory: str, number: int) -> str:
    return os.path.join(directory, f"binlog.{number}")


def find_files(directory: str) -> list[Found]:
    """The files in the order of their numbers. Raises OSError if the directory cannot be listed.

    A name like `binlog.007` stands for number 7, as it does there, so `binlog.7` may turn out not to exist.
    """
    names = os.listdir(os.fsencode(directory))
    numbers = {int(match.group(1) or 0) for name in names if (match := _NUMBERED.fullmatch(name))}
    paths = {number: binlog_path(directory, number) for number in sorted(numbers)}
    return [Found(number, path, _size(path)) for number, path in paths.items()]


def read_file(path: str) -> tuple[bytes, OSError | None]:
    """What can be read of a file, and why that is not all. Whole and not mapped: a bad sector is an error here, not a signal."""
    chunks: list[bytes] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a fifo must not hold us up
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(0, "Not a regular file")
            while chunk := os.read(fd, _CHUNK):
                chunks.append(chunk)
        finally:
            os.close(fd)
    except OSError as error:
        return b"".join(chunks), error
    return b"".join(chunks), None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
