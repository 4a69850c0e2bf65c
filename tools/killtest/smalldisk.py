"""A real file system of a few megabytes, which can be filled: a tmpfs in a mount namespace of its
own.

May know: unshare, nsenter, /proc. Promises: nothing of it can be seen outside but through `path`;
it is gone with the process that made it. Root or not: where mounting is not allowed, a user
namespace makes it so.
"""

from __future__ import annotations

import errno
import os
import random
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from testkit.daemon import INSTALLED, ROOT, Daemon

_MOUNT = 'mount -t tmpfs -o "size=$1,mode=700" crash "$0" && echo mounted && exec cat'


class NotPermitted(Exception):
    """Neither root nor a user namespace may mount here."""


class SmallDisk:
    """Mounted on `mount_point`, an empty directory, for those who enter by `prefix`."""

    def __init__(self, mount_point: Path, nbytes: int) -> None:
        self._mount_point = mount_point
        self._user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
        # Ends when this process does: then its input is at an end.
        self._keeper = subprocess.Popen(
            ["unshare", *self._user, "--mount", "sh", "-c", _MOUNT, str(mount_point), str(nbytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        if self._keeper.stdout.readline() != b"mounted\n":
            _, said = self._keeper.communicate()
            raise NotPermitted(said.decode(errors="replace").strip())

    @property
    def path(self) -> Path:
        """The way in from outside."""
        return Path(f"/proc/{self._keeper.pid}/root{self._mount_point}")

    @property
    def free_bytes(self) -> int:
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    @property
    def enter(self) -> tuple[str, ...]:
        """What to run a program by that shall see the disk."""
        user = ("--user", "--preserve-credentials") if self._user else ()
        return ("nsenter", f"--target={self._keeper.pid}", *user, "--mount", "env", "-C", str(ROOT))

    def daemon(self, *options: str) -> Daemon:
        """A server on the directory `log` there."""
        log = self.path / "log"
        log.mkdir(exist_ok=True)
        return Daemon(
            options, directory=self._mount_point / "log", program=INSTALLED, prefix=self.enter
        )

    def fill(self) -> int:
        """Somebody else takes all the space there is. Returns how many bytes that was."""
        before = self.free_bytes
        with open(self.path / "filler", "ab") as filler:
            taken = before
            while taken:
                try:
                    os.posix_fallocate(filler.fileno(), filler.tell(), taken)
                    break
                except OSError as error:  # the server was quicker
                    if error.errno != errno.ENOSPC:
                        raise
                    taken = min(taken // 2, self.free_bytes)
        return taken

    def free(self) -> None:
        """Gives it back."""
        (self.path / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        self._keeper.communicate()

    def __enter__(self) -> SmallDisk:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Neighbour:
    """Fills the disk and frees it again, at random moments, in a thread, from start to stop."""

    def __init__(self, disk: SmallDisk, seed: int) -> None:
        self._disk = disk
        self._chance = random.Random(seed)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)

    def _live(self) -> None:
        while not self._end.wait(0.15 * self._chance.random()):
            try:
                if self._chance.random() < 0.6:
                    self._disk.fill()
                else:
                    self._disk.free()
            except FileNotFoundError:  # the disk is gone
                return

    def start(self) -> Neighbour:
        self._thread.start()
        return self

    def stop(self) -> None:
        """The disk stays as it is then."""
        self._end.set()
        self._thread.join()
