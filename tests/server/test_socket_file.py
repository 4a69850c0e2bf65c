"""The file of a unix socket: its owner, group and mode, and who can connect."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from testkit.start import Start

from beanstalkd_py.config.options import Options
from beanstalkd_py.host.privileges import PrivilegesFailed
from beanstalkd_py.server.listen import Listeners, ListenFailed, listen

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
NOBODY = pwd.getpwnam("nobody")
OTHER_GROUP = next(group for group in grp.getgrall() if group.gr_gid not in (0, NOBODY.pw_gid))


@contextmanager
def listening(path: str, **options: Any) -> Iterator[os.stat_result]:
    with closing(listen(Options(address=f"unix:{path}", **options), pytest.fail, {})):
        yield os.lstat(path)


def refused(path: str, **options: Any) -> tuple[str, ...]:
    with pytest.raises(ListenFailed) as caught:
        listen(Options(address=f"unix:{path}", **options), pytest.fail, {})
    assert not os.path.lexists(path)
    return caught.value.lines


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o777])
def test_mode_is_exact_whatever_the_umask(path: str, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with listening(path, socket_mode=mode) as found:
            assert stat.S_IMODE(found.st_mode) == mode
        assert os.umask(umask) == umask
    finally:
        os.umask(before)


@ROOT_ONLY
@pytest.mark.parametrize(
    ("options", "uid", "gid"),
    [
        ({"user": "nobody"}, NOBODY.pw_uid, NOBODY.pw_gid),
        ({"socket_group": OTHER_GROUP.gr_name}, 0, OTHER_GROUP.gr_gid),
        ({"socket_group": "4242"}, 0, 4242),
        ({"user": "nobody", "socket_group": "4242"}, NOBODY.pw_uid, 4242),
        ({"user": "root"}, 0, 0),
        ({}, 0, 0),
    ],
)  # fmt: skip
def test_owner_is_the_user_and_the_group(
    path: str, options: dict[str, Any], uid: int, gid: int
) -> None:
    with listening(path, **options) as found:
        assert (found.st_uid, found.st_gid) == (uid, gid)


def test_owner_is_set_before_anyone_can_connect(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connected: list[int] = []

    def chown(path: str, uid: int, gid: int, *, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        with socket.socket(socket.AF_UNIX) as client:
            connected.append(client.connect_ex(path))

    monkeypatch.setattr(os, "chown", chown)
    with listening(path, socket_group="0"):
        assert connected == [errno.ECONNREFUSED]


def test_file_that_cannot_be_given_is_removed(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def chown(*arguments: object, **how: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chown", chown)
    lines = refused(path, socket_group="0")
    assert lines == (f"unix:{path}: chown(): Operation not permitted",)


def test_unknown_group_or_user_leaves_no_file(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(path, socket_group="none") == ("--socket-group none: no such group",)
    for number in ("4294967295", "99999999999"):
        said = f"--socket-group {number}: no such group"
        assert refused(path, socket_group=number) == (said,)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(PrivilegesFailed):
        listen(Options(address=f"unix:{path}", user="no such user"), pytest.fail, {})
    assert not os.path.lexists(path)


def test_user_who_is_not_root_gives_nothing_away(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(os, "chown", pytest.fail)
    with listening(path, user="nobody"):
        pass


def test_options_without_a_unix_socket_are_reported() -> None:
    said: list[str] = []
    options = Options(address="127.0.0.1", port="0", socket_mode=0o660, socket_group="root")
    listeners: Listeners = listen(options, said.append, {})
    listeners.close()
    assert said == [
        "not a unix socket; ignoring option: --socket-mode 660",
        "not a unix socket; ignoring option: --socket-group root",
    ]


def connects_as(uid: int, gid: int, path: str) -> bool:
    """Whether this user, without other groups, can connect. Tried in a process of its own."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
            with socket.socket(socket.AF_UNIX) as client:
                os._exit(client.connect_ex(path))
        finally:
            os._exit(255)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, errno.EACCES)
    return status == 0


@ROOT_ONLY
def test_user_of_the_server_and_its_group_can_connect(start: Start, nobodys: str) -> None:
    path = f"{nobodys}/socket"
    os.chmod(nobodys, 0o755)
    group = OTHER_GROUP.gr_gid
    plain = start("-u", "nobody", at=f"unix:{path}")
    assert connects_as(NOBODY.pw_uid, NOBODY.pw_gid, path)
    assert not connects_as(4242, group, path)
    assert plain.stop() == 0
    shared = start(
        *("-u", "nobody", "--socket-mode=660", "--socket-group", OTHER_GROUP.gr_name),
        at=f"unix:{path}",
    )
    assert connects_as(NOBODY.pw_uid, NOBODY.pw_gid, path)
    assert connects_as(4242, group, path)
    assert not connects_as(4242, 4242, path)
    assert shared.stop() == 0
    assert shared.said() == ""
