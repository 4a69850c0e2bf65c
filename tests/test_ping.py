"""`beanstalkd-py ping`: status 0 when a server answers, 1 with one line when none does."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from testkit.daemon import OURS, Daemon
from testkit.start import Start
from testkit.waiting import HANG_S

from beanstalkd_py import ping
from beanstalkd_py.config import flags
from tests.wire.reference import need_c_server

ROOT = Path(__file__).resolve().parents[1]
ENVIRON = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/wal"}


def pinged(capfd: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit status and stderr."""
    try:
        status = ping.main(["beanstalkd-py", "ping", *words])
    except SystemExit as end:
        status = int(str(end.code))
    return status, capfd.readouterr().err


def test_server_that_answers_is_status_0(start: Start, tmp_path: Path) -> None:
    start()
    command = [*OURS, "ping", "--address", f"unix:{tmp_path}/socket"]
    run = subprocess.run(command, capture_output=True, cwd=ROOT, env=ENVIRON)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")


def test_c_server_is_pinged(capfd: pytest.CaptureFixture[str]) -> None:
    with Daemon(program=(need_c_server(),)).start() as daemon:
        assert pinged(capfd, "--address", f"127.0.0.1:{daemon.port}") == (0, "")


def test_word_ping_is_the_first_argument_only() -> None:
    with pytest.raises(flags.Exit, match="unknown argument: ping") as end:
        flags.parse(["-V", "ping"], "beanstalkd-py")
    assert end.value.status == 5


def test_server_that_is_down_is_status_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    at = f"unix:{tmp_path}/socket"
    line = f"beanstalkd-py ping: {at}: No such file or directory\n"
    assert pinged(capfd, "--address", at) == (1, line)
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"127.0.0.1:{server.getsockname()[1]}"
    line = f"beanstalkd-py ping: {at}: Connection refused\n"
    assert pinged(capfd, "--address", at) == (1, line)


@pytest.mark.parametrize("host", ["a..b", "a" * 64, os.fsdecode(b"\xff")])
def test_host_that_cannot_be_a_name_is_status_1(
    host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Python refuses to encode it, before anything is looked up."""
    status, err = pinged(capfd, "--address", f"{host}:11300")
    assert status == 1
    assert err.endswith(":11300: not a name of a host\n")
    assert err.count("\n") == 1


def test_server_that_does_not_answer_is_status_1(capfd: pytest.CaptureFixture[str]) -> None:
    """Like a server that still reads its log: it listens, and accepts nobody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        at = f"127.0.0.1:{server.getsockname()[1]}"
        line = f"beanstalkd-py ping: {at}: no answer within 0.01 s\n"
        assert pinged(capfd, "--address", at, "--timeout", "0.01") == (1, line)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "the connection was closed"),
        (b"USING defau", "the connection was closed"),
        (b"-ERR\r\n", r"not the answer of a beanstalkd server: '-ERR\r\n'"),
        (b"x" * 300, "not the answer of a beanstalkd server: 'xxx"),
    ],
    ids=["none", "half", "another protocol", "without an end"],
)
def test_wrong_answer_is_status_1(
    answer: bytes, reason: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(ping, "_connected", lambda *_: ours)
        status, said = pinged(capfd)
    assert status == 1
    assert said.startswith(f"beanstalkd-py ping: 127.0.0.1:11300: {reason}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("place", ["getaddrinfo", "create_connection"])
def test_timeout_bounds_the_whole(
    place: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The look-up of a name has no timeout, and a name may have many addresses."""
    ended = threading.Event()
    monkeypatch.setattr(ping.socket, place, lambda *_, **__: ended.wait(HANG_S))
    line = "beanstalkd-py ping: localhost:11300: no answer within 0.01 s\n"
    try:
        assert pinged(capfd, "--address", "localhost:11300", "--timeout", "0.01") == (1, line)
    finally:
        ended.set()


def test_timeout_of_the_kernel_is_named(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It gives up to connect after about two minutes, which may be before the timeout."""

    def fail(*_: object) -> socket.socket:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    monkeypatch.setattr(ping.socket, "create_connection", fail)
    line = "beanstalkd-py ping: 127.0.0.1:11300: Connection timed out\n"
    assert pinged(capfd) == (1, line)


def test_refused_thread_is_status_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    line = "beanstalkd-py ping: 127.0.0.1:11300: can't start new thread\n"
    assert pinged(capfd) == (1, line)


@pytest.mark.parametrize(
    "words",
    [
        ["more"],
        ["--addr", "127.0.0.1:11300"],
        ["--address", "127.0.0.1"],
        ["--address", ":11300"],
        ["--address", "127.0.0.1:0"],
        ["--address", "127.0.0.1:65536"],
        ["--address", "unix:"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--timeout", "soon"],
    ],
)
def test_wrong_command_line_of_ping_is_status_5(
    words: Sequence[str], capfd: pytest.CaptureFixture[str]
) -> None:
    status, said = pinged(capfd, *words)
    assert status == 5
    assert said.startswith("beanstalkd-py ping: ")
    assert "\nusage: beanstalkd-py ping " in said


def test_address_may_be_ipv6() -> None:
    parsed = ping.parser("").parse_args(["--address", "[::1]:11300"]).address
    assert parsed == ("::1", 11300)
    assert ping.shown(parsed) == "[::1]:11300"


def test_ping_loads_no_module_of_the_server() -> None:
    """A probe runs every few seconds."""
    code = "import sys; from beanstalkd_py import ping; print('gevent' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, env=ENVIRON)
    assert run.stdout == b"False\n", run.stderr
