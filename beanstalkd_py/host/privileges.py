"""-u USER: changes to the user and the user's groups, irreversibly.

The C server keeps root's supplementary groups. This module replaces them (initgroups) before it
gives up root's rights.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable

LOOKUP_FAILED = 32
NO_SUCH_USER = 33
CHANGE_FAILED = 34


class PrivilegesFailed(Exception):
    """The process cannot become the user. line: without the program's name. status: for exit."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(status, line)
        self.status = status
        self.line = line


def become(user: str) -> None:
    """Changes the supplementary groups, the group and the user. After a failure the process must
    end, because some of them may have changed.
    """
    entry = look_up(user)
    uid, gid = entry.pw_uid, entry.pw_gid
    if os.geteuid() != 0 and _is_already(uid, gid):
        return  # no right to set groups, and no need to
    _change(f'initgroups("{user}", {gid})', lambda: os.initgroups(user, gid))
    _change(f'setgid({gid} "{user}")', lambda: os.setgid(gid))
    _change(f'setuid({uid} "{user}")', lambda: os.setuid(uid))


def look_up(user: str) -> pwd.struct_passwd:
    """Raises PrivilegesFailed."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise PrivilegesFailed(NO_SUCH_USER, f'getpwnam("{user}"): no such user') from None
    except OSError as error:
        raise PrivilegesFailed(LOOKUP_FAILED, f'getpwnam("{user}"): {error.strerror}') from error


def _is_already(uid: int, gid: int) -> bool:
    return os.getresuid() == (uid, uid, uid) and os.getresgid() == (gid, gid, gid)


def _change(what: str, change: Callable[[], None]) -> None:
    try:
        change()
    except OSError as error:
        raise PrivilegesFailed(CHANGE_FAILED, f"{what}: {error.strerror}") from error
