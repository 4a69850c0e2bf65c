"""A rename that never replaces a file, by a system call that Python's os module does not have.

Promises: either the file gets its new name, or nothing has changed.
"""

from __future__ import annotations

import ctypes
import errno
import os

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
# Errors of a kernel or file system without RENAME_NOREPLACE.
_UNKNOWN = frozenset((errno.EINVAL, errno.ENOSYS))

_libc = ctypes.CDLL(None, use_errno=True)


def rename_exclusively(old: str, new: str) -> bool:
    """False, and nothing was changed, if the kernel or the file system cannot do it. Raises
    FileExistsError if `new` exists.
    """
    renameat2 = getattr(_libc, "renameat2", None)
    if renameat2 is None:
        return False
    names = os.fsencode(old), os.fsencode(new)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE) == 0:
        return True
    error = ctypes.get_errno()
    if error in _UNKNOWN:
        return False
    raise OSError(error, os.strerror(error), new if error == errno.EEXIST else old)
