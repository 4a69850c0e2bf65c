"""Listeners that a service manager passes on (LISTEN_FDS)."""

import json
import os
import socket
import subprocess
import sys

import pytest

from beanstalkd_py.server.listen import address_of
from tests.server.listeners import failure, open_listeners, python_path

INHERITOR = """
import json, os, socket, sys
from beanstalkd_py.server.listen import ListenFailed, address_of, listen
from beanstalkd_py.config.options import Options
fds, environ, options = json.loads(sys.argv[1])
for at, fd in enumerate(fds):
    os.dup2(fd, 40 + at)
for at in range(len(fds)):
    os.dup2(40 + at, 3 + at)
environ = {name: value.replace("PID", str(os.getpid())) for name, value in environ.items()}
said = []
try:
    (listener,) = listen(Options(**options), said.append, environ).sockets
    shown = [listener.fileno(), address_of(listener), listener.getblocking()]
    print(json.dumps([*shown, listener.get_inheritable(), said]))
except ListenFailed as failed:
    print(json.dumps([list(failed.lines), said]))
"""


def inherit(sockets, environ, **options):
    """What `listen` makes of sockets that a service manager leaves from descriptor 3 on."""
    fds = [each if isinstance(each, int) else each.fileno() for each in sockets]
    command = [sys.executable, "-c", INHERITOR, json.dumps([fds, environ, options])]
    return json.loads(
        subprocess.run(
            command, check=True, pass_fds=fds, stdout=subprocess.PIPE, env=python_path()
        ).stdout
    )


@pytest.fixture
def sockets(path):
    """Two listeners, one idle socket, one datagram socket, one pipe's end."""
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    idle, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    with first, second, idle, datagrams:
        yield first, second, idle, datagrams


OURS = {"LISTEN_PID": "PID", "LISTEN_FDS": "1"}


def test_inherited_socket_is_used(sockets):
    assert inherit(sockets[:1], OURS) == [3, address_of(sockets[0]), False, False, []]


def test_file_of_an_inherited_unix_socket_is_kept(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert inherit([listener], OURS) == [3, path, False, False, []]
        assert os.path.lexists(path)


def test_address_and_port_are_ignored_with_an_inherited_socket(sockets):
    assert inherit(sockets[:1], OURS, address="192.0.2.1", port="abc")[-1] == [
        "inherited listen fd; ignoring option: -p abc",
        "inherited listen fd; ignoring option: -l 192.0.2.1",
    ]


def test_only_the_first_inherited_socket_is_used(sockets):
    result = inherit(sockets[:2], {**OURS, "LISTEN_FDS": "2"})
    assert result == [
        3,
        address_of(sockets[0]),
        False,
        False,
        ["inherited more than one listen socket; ignoring all but the first"],
    ]


@pytest.mark.parametrize("which", [2, 3])
def test_inherited_socket_that_does_not_listen_fails(sockets, which):
    assert inherit([sockets[which]], OURS) == [
        ["inherited fd is not a TCP or UNIX listening socket"],
        [],
    ]


def test_inherited_packet_listener_fails(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        assert inherit([listener], OURS) == [
            ["inherited fd is not a TCP or UNIX listening socket"],
            [],
        ]


def test_inherited_file_fails(path):
    with open(path, "w") as file:
        assert inherit([file.fileno()], OURS) == [
            ["inherited fd is not a TCP or UNIX listening socket"],
            [],
        ]


def test_missing_inherited_socket_fails(sockets):
    result = inherit(sockets[:1], {**OURS, "LISTEN_FDS": "30"})
    assert result[0][0].startswith("sd_listen_fds: fd ") and result[0][0].endswith(
        ": Bad file descriptor"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LISTEN_FDS", value) for value in ("0", "-1", "junk", "", "1x")),
        ("LISTEN_PID", "junk"),
        ("LISTEN_PID", ""),
    ],
)
def test_malformed_listen_variables_fail(name, value):
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", name: value}
    assert failure("127.0.0.1", environ=environ) == (
        f"sd_listen_fds: {name}={value} is no positive number",
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "junk"},
        {"LISTEN_PID": str(os.getpid())},
    ],
)
def test_sockets_for_another_process_are_ignored(environ):
    with open_listeners("127.0.0.1", environ=environ) as listeners:
        assert listeners.sockets[0].getsockname()[0] == "127.0.0.1"
