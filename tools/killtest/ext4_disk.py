"""An ext4 file system in an image, whose power can fail: what was not written to the image is gone.

It needs root and loop devices. It is visible to other processes only through `path`, and ends with
this process.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from .small_disk import SmallDisk

# ext4's own ioctl for tests: from now on nothing is written, not even the journal.
_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
# The journal commits each second, not every five: a power cut finds more names whose data was not
# written.
_MOUNT = 'mount -o loop,commit=1 "$0.img" "$0"'


class Ext4Disk(SmallDisk):
    """Mounted on `mount_point`, an empty directory, for programs that run with `prefix`."""

    script = (
        f'truncate -s "$1" "$0.img" && mkfs.ext4 -q "$0.img" && {_MOUNT} && echo mounted && '
        "exec cat"
    )

    def cut_power(self) -> None:
        """Writes to the file system fail from now on."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(handle, _EXT4_IOC_SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(handle)

    def restore_power(self) -> None:
        """Mounts what the image has. No program may use the file system."""
        script = f'umount "$0" && {_MOUNT}'
        subprocess.run([*self.enter, "sh", "-c", script, self.mount_point], check=True)

    def close(self) -> None:
        super().close()
        Path(f"{self.mount_point}.img").unlink(missing_ok=True)
