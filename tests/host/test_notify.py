import os
import socket

import pytest
from testkit.waiting import HANG_S

from beanstalkd_py.host.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    """The service manager's end, bound to what NOTIFY_SOCKET names."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(HANG_S)
        if request.param == "path":
            receiver.bind(str(tmp_path / "notify"))
            yield receiver, str(tmp_path / "notify")
        else:
            receiver.bind("")  # the kernel chooses a free abstract name
            yield receiver, "@" + os.fsdecode(receiver.getsockname()[1:])


def test_state_is_sent_with_one_assignment_a_line(manager):
    receiver, path = manager
    said = []
    notify = Notify({"NOTIFY_SOCKET": path}, said.append)
    notify(READY=1, STATUS="serving on 127.0.0.1:11300")
    assert receiver.recv(4096) == b"READY=1\nSTATUS=serving on 127.0.0.1:11300"
    notify(EXTEND_TIMEOUT_USEC=5_000_000)
    assert receiver.recv(4096) == b"EXTEND_TIMEOUT_USEC=5000000"
    notify(STATUS=os.fsdecode(b"serving on /tmp/\xff"))
    assert receiver.recv(4096) == b"STATUS=serving on /tmp/\xff"
    notify(STOPPING=1)
    assert receiver.recv(4096) == b"STOPPING=1"
    assert said == []


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}])
def test_nothing_is_sent_without_notify_socket(environ):
    said = []
    Notify(environ, said.append)(READY=1)
    assert said == []


@pytest.mark.parametrize(
    ("path", "reason"),
    [("missing", "No such file"), ("vsock:2:1234", "No such file"), ("x" * 200, "too long")],
)
def test_broken_notify_socket_is_one_warning(tmp_path, monkeypatch, path, reason):
    monkeypatch.chdir(tmp_path)
    said = []
    notify = Notify({"NOTIFY_SOCKET": path}, said.append)
    notify(READY=1)
    notify(STOPPING=1)
    assert len(said) == 1
    assert said[0].startswith(f"NOTIFY_SOCKET={path}: ") and reason in said[0]


def test_manager_that_does_not_read_is_one_warning(tmp_path):
    """A full receive queue must not block the server for ever."""
    path = str(tmp_path / "notify")
    said = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        notify = Notify({"NOTIFY_SOCKET": path}, said.append)
        notify.timeout_s = 0.01
        for _ in range(10_000):
            notify(STATUS="x")
            if said:
                break
    assert len(said) == 1


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0),
        ({"WATCHDOG_USEC": "30000000"}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "soon"}, 0),
    ],
)
def test_watchdog_is_that_of_this_process(environ: dict[str, str], seconds: float) -> None:
    assert Notify({"NOTIFY_SOCKET": "/x", **environ}, print).watchdog_s == seconds
    assert Notify(environ, print).watchdog_s == 0
