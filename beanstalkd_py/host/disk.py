"""How large the files of a directory can become."""

import os
import resource


def file_system_bytes(directory: str) -> int:
    """The size of the directory's file system; 0 if it reports none. Raises OSError."""
    found = os.statvfs(directory)
    return found.f_blocks * found.f_frsize


def file_size_limit() -> int | None:
    """The limit on the size of files (ulimit -f), in bytes; None if there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if soft == resource.RLIM_INFINITY else soft
