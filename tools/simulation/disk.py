"""A disk in memory to put in the place of the real one: it can be full, fail at the nth call, and crash.

A crash keeps what was synced. Of what was not, each 512-byte sector of a file, its size, and each change of a name survives or does not, as the
dice say (names in the order in which they were changed, but with any of them missing).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from random import Random

from wal.fs import FileSystem

SECTOR = 512


class File:
    def __init__(self, content: bytes = b"") -> None:
        self.data = bytearray(content)
        self.synced = bytes(content)
        self.history: list[bytes] = []  # contents since the last sync, oldest first

    def change(self) -> None:
        self.history.append(bytes(self.data))

    def after_crash(self, rng: Random) -> bytes:
        versions = [self.synced, *self.history]
        mode = rng.randrange(4)
        if mode == 0:
            return versions[0]
        if mode == 1:
            return versions[-1]
        size = len(rng.choice(versions))
        sectors = []
        for start in range(0, size, SECTOR):
            length = min(SECTOR, size - start)
            sectors.append(rng.choice(versions)[start : start + length].ljust(length, b"\0"))
        return b"".join(sectors)


Change = Callable[[dict[str, File]], object]


class MemoryDisk(FileSystem):
    """One directory. before(call, path) is asked before each call, and may raise."""

    def __init__(self, seed: int = 0) -> None:
        self.names: dict[str, File] = {}
        self.synced_names: dict[str, File] = {}
        self.changes: list[Change] = []  # of names, not synced yet
        self.handles: dict[int, tuple[str, File]] = {}
        self.next_handle = 3
        self.capacity = 1 << 40
        self.syncs = 0
        self.rng = Random(seed)
        self.before: Callable[[str, str], None] = lambda call, path: None

    # --- names

    def list(self, directory: str) -> list[str]:
        self.before("list", directory)
        return [os.path.basename(path) for path in self.names]

    def size(self, path: str) -> int:
        self.before("size", path)
        return len(self._file(path).data)

    def rename(self, old: str, new: str) -> None:
        self.before("rename", old)
        file = self._file(old)

        def change(names: dict[str, File]) -> None:
            names.pop(old, None)
            names[new] = file

        self._change(change)
        for handle, (_, opened) in self.handles.items():
            if opened is file:
                self.handles[handle] = new, file

    def unlink(self, path: str) -> None:
        self.before("unlink", path)
        self._file(path)
        self._change(lambda names: names.pop(path, None))

    def _change(self, change: Change) -> None:
        change(self.names)
        self.changes.append(change)

    def open_directory(self, directory: str) -> int:
        self.before("open_directory", directory)
        return self._handle(directory, File())

    def sync_directory(self, handle: int) -> None:
        self.before("sync_directory", self.handles[handle][0])
        self.syncs += 1
        self.synced_names = dict(self.names)
        self.changes.clear()

    # --- contents

    def read(self, path: str, nbytes: int = -1) -> bytes:
        self.before("read", path)
        data = self._file(path).data
        return bytes(data if nbytes < 0 else data[:nbytes])

    def create(self, path: str) -> int:
        self.before("create", path)
        file = self.names.get(path)
        if file is None:
            file = File()
            self._change(lambda names: names.__setitem__(path, file))
        else:
            file.data.clear()
            file.change()
        return self._handle(path, file)

    def open(self, path: str) -> int:
        self.before("open", path)
        return self._handle(path, self._file(path))

    def close(self, handle: int) -> None:
        path, _ = self.handles.pop(handle)
        self.before("close", path)

    def write(self, handle: int, data: bytes, offset: int) -> None:
        path, file = self.handles[handle]
        end = offset + len(data)
        if end > len(file.data):
            assert file not in [named for name, named in self.names.items() if name.endswith(".wal")], f"{path}: written beyond what was prepared"
        try:
            self._reserve(end - len(file.data))
            self.before("write", path)
        except BaseException:
            # What fails, or is interrupted by a crash, may have been done in part.
            part = min(len(data) // 2, max(self.capacity - self.used(), 0))
            file.data[offset : offset + part] = data[:part]
            file.change()
            raise
        file.data.extend(bytes(max(offset - len(file.data), 0)))
        file.data[offset:end] = data
        file.change()

    def sync(self, handle: int) -> None:
        path, file = self.handles[handle]
        self.before("sync", path)
        self.syncs += 1
        file.synced = bytes(file.data)
        file.history.clear()

    def truncate(self, handle: int, nbytes: int) -> None:
        path, file = self.handles[handle]
        self.before("truncate", path)
        assert nbytes <= len(file.data)
        if nbytes < len(file.data):
            del file.data[nbytes:]
            file.change()

    def allocate(self, handle: int, old: int, new: int) -> None:
        path, file = self.handles[handle]
        self.before("allocate", path)
        assert old == len(file.data) < new
        self._reserve(new - old)
        file.data.extend(bytes(new - old))
        file.change()

    def lock(self, path: str) -> int:
        self.before("lock", path)
        return self.create(path)

    def urandom(self, nbytes: int) -> bytes:
        return self.rng.randbytes(nbytes)

    # ---

    def _file(self, path: str) -> File:
        if path not in self.names:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.names[path]

    def _handle(self, path: str, file: File) -> int:
        self.next_handle += 1
        self.handles[self.next_handle] = path, file
        return self.next_handle

    def _reserve(self, nbytes: int) -> None:
        if self.used() + nbytes > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def used(self) -> int:
        return sum(len(file.data) for file in self.names.values())

    def after_kill(self) -> MemoryDisk:
        """The process ended, the machine did not: everything that was written is there, synced or not."""
        self.handles.clear()
        self.before = lambda call, path: None
        return self

    def after_crash(self, rng: Random, ordered: bool = False) -> MemoryDisk:
        """ordered: of the names' changes, none survives one before it that did not, as journals of file systems have it."""
        names = dict(self.synced_names)
        mode = rng.randrange(3)
        survivors = len(self.changes) if mode == 1 else rng.randrange(len(self.changes) + 1) if mode == 2 else 0
        for n, change in enumerate(self.changes):
            if n < survivors if ordered or mode < 2 else rng.random() < 0.5:
                change(names)
        return self._like({name: file.after_crash(rng) for name, file in names.items()})

    def copy(self) -> MemoryDisk:
        """All of it synced."""
        return self._like({name: bytes(file.data) for name, file in self.names.items()})

    def _like(self, contents: dict[str, bytes]) -> MemoryDisk:
        disk = MemoryDisk()
        disk.rng.setstate(self.rng.getstate())
        disk.capacity = self.capacity
        disk.names = {name: File(content) for name, content in contents.items()}
        disk.synced_names = dict(disk.names)
        return disk


def fail_at(disk: MemoryDisk, nth: int, error: int = errno.EIO) -> list[str]:
    """Makes the nth call from now (counted from 1) fail, and returns the list that the calls are written down in."""
    calls: list[str] = []

    def before(call: str, path: str) -> None:
        calls.append(f"{call} {os.path.basename(path)}")
        if len(calls) == nth:
            raise OSError(error, os.strerror(error), path)

    disk.before = before
    return calls
