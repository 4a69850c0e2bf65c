"""Sockets to listen on: TCP, unix, inherited. Plain sockets, non-blocking, listening; no gevent.

This module prints nothing. Warnings go to `report`, without the program's name. Errors raise
`ListenFailed`.

A unix socket's file is never taken from a running server. The C server removes any socket file it
finds; here the old file is removed only if no server answers on it. The steps (connect, remove,
bind and listen) are done under a lock on the file PATH.lock (`socket_lock`). So if two servers
start at the same time, the second one finds that the first one answers. The lock is held only for
these steps. (A lock on the directory would keep out a server whose log is there: that server holds
such a lock while it runs.)

The socket's file has its mode and its owner before the server listens, so before anyone can
connect. With -u as root, the file belongs to the user.
"""

from __future__ import annotations

import grp
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from beanstalkd_py.config.options import Options
from beanstalkd_py.host import privileges
from beanstalkd_py.server.socket_lock import EXISTS, locked

DEFAULT_PORT = "11300"
BACKLOG = 1024
MAX_UNIX_PATH = 107  # bytes: sun_path without its closing zero
FIRST_INHERITED_FD = 3
NO_GROUP = 0xFFFFFFFF  # as a number of a group; no larger number exists

Report = Callable[[str], None]
FileId = tuple[int, int]  # device and inode, because a name can get another file


class ListenFailed(Exception):
    """No socket to listen on. One line for each address that was tried."""

    status = 111

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


class Listeners:
    """The listening sockets, and the socket file that is removed with them."""

    def __init__(
        self, sockets: list[socket.socket], path: str = "", file_id: FileId | None = None
    ) -> None:
        self.sockets = sockets
        self._path = path
        self._file_id = file_id

    def close(self) -> None:
        """Removes the socket file, if it is still ours, and closes. While we listen, no other
        server replaces the file.
        """
        self._remove()
        for each in self.sockets:
            each.close()

    def _remove(self) -> None:
        if self._file_id is None:
            return
        # After -u the user may lack the right to remove the file. Then the next start finds that
        # no server answers on it.
        with suppress(OSError):
            if _file_id(self._path) == self._file_id:
                os.unlink(self._path)
        self._file_id = None


def listen(options: Options, report: Report, environ: Mapping[str, str]) -> Listeners:
    """The socket that the service manager passed, if any; else a new socket by -l and -p. Raises
    ListenFailed, and PrivilegesFailed for a user that does not exist.
    """
    count = _inherited_count(environ)
    if count:
        return Listeners([_inherit(count, options, report)])
    if options.address is not None and options.address.startswith("unix:"):
        return listen_unix(options.address.removeprefix("unix:"), options, report)
    for flag, value in _socket_options(options):
        report(f"not a unix socket; ignoring option: {flag} {value}")
    port = DEFAULT_PORT if options.port is None else options.port
    return Listeners([listen_tcp(options.address, port)])


def address_of(listener: socket.socket) -> str:
    """A socket's address in the usual notation: 127.0.0.1:11300, [::1]:11300, a path, or @name for
    the abstract socket of this name.
    """
    name = listener.getsockname()
    if listener.family == socket.AF_INET6:
        return f"[{name[0]}]:{name[1]}"
    if listener.family == socket.AF_INET:
        return f"{name[0]}:{name[1]}"
    path = os.fsdecode(name)
    return "@" + path[1:] if path.startswith("\0") else path


# TCP


def listen_tcp(host: str | None, port: str) -> socket.socket:
    """Listens on the first address of a name that works."""
    where = f"{'*' if host is None else host}:{port}"
    lines = []
    for family, address in _addresses(where, host, port):
        try:
            return _tcp_listener(family, address)
        except OSError as error:
            lines.append(f"{where}: {error.strerror}")
    raise ListenFailed(*lines)


def _addresses(where: str, host: str | None, port: str) -> Iterator[tuple[int, Any]]:
    """As bytes: Python's codec for internet names refuses names that the resolver may know."""
    raw_host = None if host is None else os.fsencode(host)
    try:
        found = socket.getaddrinfo(
            raw_host, os.fsencode(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise ListenFailed(f"{where}: getaddrinfo(): {error.strerror}") from None
    return ((family, address) for family, _, _, _, address in found)


def _tcp_listener(family: int, address: Any) -> socket.socket:
    with _called("socket()"):
        listener = socket.socket(family, socket.SOCK_STREAM)
    # Accepted connections inherit the last two.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _bound(listener, address)


def _bound(
    listener: socket.socket, address: Any, prepare: Callable[[], None] = lambda: None
) -> socket.socket:
    """prepare: called after bind, before anyone can connect."""
    try:
        with _called("bind()"):
            listener.bind(address)
        prepare()
        with _called("listen()"):
            listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


@contextmanager
def _called(call: str) -> Iterator[None]:
    """An error of a system call, with the call in its text."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, f"{call}: {error.strerror}") from None


# Unix


def listen_unix(path: str, options: Options, report: Report) -> Listeners:
    _check_length(path)
    uid, gid = _owner(options)
    try:
        with locked(path), _file_mode(options.socket_mode):
            _remove_dead_socket(path, report)
            listener = _bound(
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM),
                path,
                lambda: _give(path, uid, gid),
            )
            return Listeners([listener], os.path.abspath(path), _file_id(path))
    except OSError as error:
        raise ListenFailed(f"unix:{path}: {error.strerror}") from None


def _owner(options: Options) -> tuple[int, int]:
    """The uid and the gid of the socket's file; -1: that of the process."""
    uid = gid = -1
    if options.user is not None and os.geteuid() == 0:
        user = privileges.look_up(options.user)
        uid, gid = user.pw_uid, user.pw_gid
    if options.socket_group is not None:
        gid = _group(options.socket_group)
    return uid, gid


def _group(name: str) -> int:
    try:
        group = int(name) if name.isascii() and name.isdecimal() else grp.getgrnam(name).gr_gid
    except KeyError:
        group = NO_GROUP
    if group >= NO_GROUP:
        raise ListenFailed(f"--socket-group {name}: no such group")
    return group


@contextmanager
def _file_mode(mode: int | None) -> Iterator[None]:
    """Files that are created inside have this mode. (chmod would follow a link that someone put in
    the place of the file.)
    """
    if mode is None:
        yield
        return
    before = os.umask(0o777 & ~mode)
    try:
        yield
    finally:
        os.umask(before)


def _give(path: str, uid: int, gid: int) -> None:
    """Changes the owner of the socket's file. A file that cannot be given is removed."""
    if (uid, gid) == (-1, -1):
        return
    try:
        with _called("chown()"):
            os.chown(path, uid, gid, follow_symlinks=False)
    except OSError:
        os.unlink(path)
        raise


def _check_length(path: str) -> None:
    size = len(os.fsencode(path))
    if size == 0:
        raise ListenFailed("unix: no socket path is named")
    if size > MAX_UNIX_PATH:
        raise ListenFailed(
            f"socket path {path} is too long ({size} characters), "
            f"where maximum allowed is {MAX_UNIX_PATH}"
        )


def _remove_dead_socket(path: str, report: Report) -> None:
    """Removes the socket file of a dead server, and nothing else."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ListenFailed(f"unix:{path}: {EXISTS}")
        _check_no_server_answers(path)
        report("removing existing local socket to replace it")
        with _called("unlink()"):
            os.unlink(path)


def _check_no_server_answers(path: str) -> None:
    """Only a refused connection shows that no process has the socket. Any other result, such as a
    full backlog, counts as a running server.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(path)
        except ConnectionRefusedError:
            return
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ListenFailed(
                f"unix:{path}: another server may be listening there: {error.strerror}"
            ) from None
    raise ListenFailed(f"unix:{path}: another server is listening there")


def _file_id(path: str) -> FileId:
    found = os.lstat(path)
    return found.st_dev, found.st_ino


def _socket_options(options: Options) -> list[tuple[str, str]]:
    """Those that were given, of the options for unix sockets only."""
    given = []
    if options.socket_mode is not None:
        given.append(("--socket-mode", f"{options.socket_mode:o}"))
    if options.socket_group is not None:
        given.append(("--socket-group", options.socket_group))
    return given


# Inherited (sd_listen_fds)


def _inherited_count(environ: Mapping[str, str]) -> int:
    """How many sockets the service manager passed; 0 if they are for another process."""
    if (
        "LISTEN_PID" not in environ
        or _number(environ, "LISTEN_PID") != os.getpid()
        or "LISTEN_FDS" not in environ
    ):
        return 0
    return _number(environ, "LISTEN_FDS")


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ[name]
    if not re.fullmatch(r"\s*\+?[0-9]{1,9}", text) or int(text) == 0:
        raise ListenFailed(f"sd_listen_fds: {name}={text} is no positive number")
    return int(text)


def _inherit(count: int, options: Options, report: Report) -> socket.socket:
    given = [("-p", options.port), ("-l", options.address), *_socket_options(options)]
    for flag, value in given:
        if value is not None:
            report(f"inherited listen fd; ignoring option: {flag} {value}")
    if count > 1:
        report("inherited more than one listen socket; ignoring all but the first")
    for fd in range(FIRST_INHERITED_FD, FIRST_INHERITED_FD + count):
        _close_on_exec(fd)
    return _inherited_listener(FIRST_INHERITED_FD)


def _close_on_exec(fd: int) -> None:
    try:
        os.set_inheritable(fd, False)
    except OSError as error:
        raise ListenFailed(f"sd_listen_fds: fd {fd}: {error.strerror}") from None


def _inherited_listener(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except OSError:
        raise _not_a_listener() from None
    families = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if listener.family not in families or listener.type != socket.SOCK_STREAM or not listens:
        listener.close()
        raise _not_a_listener()
    listener.setblocking(False)
    return listener


def _not_a_listener() -> ListenFailed:
    return ListenFailed("inherited fd is not a TCP or UNIX listening socket")
