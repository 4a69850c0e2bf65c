"""The files of a C server's directory: finding them, reading them, and writing new ones. All I/O of
`cbinlog` is here, and no knowledge of the format.

The C server looks for names `binlog.` + a number in the syntax of `strtol`. Then it opens
`binlog.N` from the lowest number to the highest.

New files get their names when all of them are complete and synced. So a directory has all of them
or none. The exception is a crash during the renames: then only the first files have their names.
"""

import os
import re
import stat
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

from beanstalkd_wal.fs import name_file, sync_names

_NUMBERED = re.compile(rb"binlog\.([ \t\n\v\f\r]*[+-]?[0-9]+)?")
_CHUNK = 1 << 20
MODE = 0o400  # the C server's


class Found(NamedTuple):
    number: int
    path: str
    size: int  # 0 if unknown; then reading the file will fail with the reason


def binlog_path(directory: str, number: int) -> str:
    return os.path.join(directory, f"binlog.{number}")


def find_files(directory: str) -> list[Found]:
    """The files in the order of their numbers. Raises OSError if the directory cannot be listed.

    As in the C server, a name like `binlog.007` means number 7, and the path is that of `binlog.7`,
    which may not exist.
    """
    names = map(os.fsencode, os.listdir(directory))
    numbers = {int(match.group(1) or 0) for name in names if (match := _NUMBERED.fullmatch(name))}
    paths = {number: binlog_path(directory, number) for number in sorted(numbers)}
    return [Found(number, path, _size(path)) for number, path in paths.items()]


def read_file(path: str) -> tuple[bytes, OSError | None]:
    """The bytes that can be read, and the error if not all could be read. The file is not mapped
    into memory: a bad sector would then raise a signal instead of an error.
    """
    chunks: list[bytes] = []
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # do not wait for a fifo
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


class NewFiles:
    """New files `binlog.1`, `binlog.2`, ... in a directory without such files. A context manager:
    at the end it gives the files their names, or removes them after an exception.
    """

    def __init__(self, directory: str, header: bytes, segment_bytes: int) -> None:
        os.makedirs(directory, exist_ok=True)
        if find_files(directory):
            raise FileExistsError(f"{directory} holds a binlog already")
        self.paths: list[str] = []
        self.bytes_written = 0
        self.names_synced = True  # False: the file system cannot sync directories
        self._directory = directory
        self._header = header
        self._segment_bytes = segment_bytes
        self._made: list[str] = []  # files to remove on an exception
        self._free = 0
        self._fd = -1
        self._buffer = bytearray()

    def __enter__(self) -> "NewFiles":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._publish()
        except BaseException:
            self._undo()
            raise
        if kind is not None:
            self._undo()

    def append(self, data: bytes) -> None:
        """Writes data into one file. A file is larger than a segment if its data is."""
        if self._fd < 0 or len(data) > self._free:
            self._next_file()
        self._write(data)

    def _publish(self) -> None:
        self._close_file()
        for path in self.paths:
            if os.path.lexists(path):  # made by another program since __init__ looked
                raise FileExistsError(f"{path} exists already")
            os.rename(_unready(path), path)
            self._made.append(path)
        parent = os.path.dirname(os.path.abspath(self._directory))
        # Both are synced, also if the first one cannot be.
        self.names_synced = all([sync_names(self._directory), sync_names(parent)])

    def _undo(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        for path in self._made:
            _unlink(path)

    def _next_file(self) -> None:
        self._close_file()
        path = binlog_path(self._directory, len(self.paths) + 1)
        _unlink(_unready(path))  # left by an earlier export that was killed
        self._fd = os.open(
            _unready(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE
        )
        self._made.append(_unready(path))
        self.paths.append(path)
        self._free = self._segment_bytes
        self._write(self._header)

    def _write(self, data: bytes) -> None:
        self._buffer += data
        self._free -= len(data)
        self.bytes_written += len(data)
        if len(self._buffer) >= _CHUNK:
            self._drain()

    def _drain(self) -> None:
        with memoryview(self._buffer) as view:
            done = 0
            while done < len(view):
                try:
                    done += os.write(self._fd, view[done:])
                except OSError as error:
                    name_file(error, self._fd)
                    raise
        self._buffer.clear()

    def _close_file(self) -> None:
        if self._fd < 0:
            return
        self._drain()
        try:
            os.fsync(self._fd)
        except OSError as error:
            name_file(error, self._fd)
            raise
        fd, self._fd = self._fd, -1
        os.close(fd)


def _unready(path: str) -> str:
    return path + ".unready"


def _unlink(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
