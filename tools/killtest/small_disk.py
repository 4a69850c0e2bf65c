"""A real file system of a few megabytes that can be filled: a tmpfs in its own mount namespace.

It is visible to other processes only through `path`, and ends with this process. Without root it
needs a user namespace that may mount.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import threading
from pathlib import Path

from testkit.closing import Closing
from testkit.daemon import INSTALLED, ROOT, Daemon


class NotPermitted(Exception):
    """Mounting is not permitted."""


class SmallDisk(Closing):
    """Mounted on `mount_point`, an empty directory, for programs that run with `prefix`."""

    # $0: the mount point, $1: bytes. When it is mounted, it writes "mounted" and waits for the end.
    script = 'mount -t tmpfs -o "size=$1,mode=700" killtest "$0" && echo mounted && exec cat'

    def __init__(self, mount_point: Path, nbytes: int) -> None:
        self.mount_point = mount_point
        self._user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        # Ends with this process, because its stdin is closed then.
        self._keeper = subprocess.Popen(
            [
                "unshare",
                *self._user,
                "--mount",
                "sh",
                "-c",
                self.script,
                str(mount_point),
                str(nbytes),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"mounted\n":
            _, text = self._keeper.communicate()
            raise NotPermitted(text.decode(errors="replace").strip())

    @property
    def path(self) -> Path:
        """The file system as seen from outside."""
        return Path(f"/proc/{self._keeper.pid}/root{self.mount_point}")

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    @property
    def enter(self) -> tuple[str, ...]:
        """The command prefix for programs that use the file system."""
        user = ("--user", "--preserve-credentials") if self._user else ()
        return ("nsenter", f"--target={self._keeper.pid}", *user, "--mount", "env", "-C", str(ROOT))

    def daemon(self, *options: str) -> Daemon:
        """A server on the directory `log` there."""
        log = self.path / "log"
        log.mkdir(exist_ok=True)
        return Daemon(
            options, directory=self.mount_point / "log", program=INSTALLED, prefix=self.enter
        )

    def fill(self) -> int:
        """Takes all free space. Returns the number of bytes."""
        before = self.free_bytes
        with open(self.path / "filler", "ab") as filler:
            taken = before
            while taken:
                try:
                    os.posix_fallocate(filler.fileno(), filler.tell(), taken)
                    break
                except OSError as error:  # the server was faster
                    if error.errno != errno.ENOSPC:
                        raise
                    taken = min(taken // 2, self.free_bytes)
        return taken

    def free(self) -> None:
        """Frees the space again."""
        (self.path / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        self._keeper.communicate()


class DiskFiller:
    """Fills and frees the disk at random times, in a thread."""

    def __init__(self, disk: SmallDisk, seed: int) -> None:
        self._disk = disk
        self._rng = random.Random(seed)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def _live(self) -> None:
        while not self._end.wait(0.15 * self._rng.random()):
            try:
                if self._rng.random() < 0.6:
                    self._disk.fill()
                else:
                    self._disk.free()
            except FileNotFoundError:  # the disk was removed
                return

    def start(self) -> DiskFiller:
        self._thread.start()
        return self

    def stop(self) -> None:
        """The disk keeps its current state."""
        self._end.set()
        self._thread.join()
