"""Starts that fail: one line that begins with the program's name, the documented status, never a
traceback. And odd starts that do not.
"""

from __future__ import annotations

import os
import pwd
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.daemon import Daemon
from testkit.start import Start

from beanstalkd_py import __version__
from beanstalkd_py.config import version

BUILD = f"{__version__} ({version.build()})"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
USAGE = "\nUse: beanstalkd-py "


def failed(daemon: Daemon, status: int, line: str) -> None:
    assert daemon.wait_end() == status, daemon.said()
    said = daemon.said()
    text, usage, _ = said.partition(USAGE)
    assert bool(usage) is (status == 5)
    assert re.fullmatch(f"beanstalkd-py: {line}", text.rstrip("\n")), said


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["word"], "unknown argument: word"),
        (["-"], "unknown argument: -"),
        (["--helps"], r"unknown flag: --helps; did you mean --help\?"),
        (["-Vx"], "unknown flag: Vx"),
        (["-p"], "flag requires an argument: -p"),
        (["-z", "1k"], "invalid size: 1k"),
        (["-s", ""], "invalid size: "),
    ],
)
def test_wrong_command_line_is_status_5(launch: Start, options: list[str], line: str) -> None:
    failed(launch(*options), 5, line)


@pytest.mark.parametrize(
    "what",
    ["missing", "a file", "no directory named", "a directory called lock", "another server's"],
)
def test_unusable_directory_is_status_10(
    start: Start, launch: Start, log: str, tmp_path: Path, what: str
) -> None:
    directory = {
        "missing": f"{tmp_path}/missing",
        "a file": f"{tmp_path}/file",
        "no directory named": "",
    }.get(what, log)
    if what == "a file":
        Path(directory).touch()
    elif what == "a directory called lock":
        Path(log, "lock").mkdir()
    elif what == "another server's":
        start("-b", log)
    reason = (
        f"{log}/lock: locked by another process"
        if what == "another server's"
        else f"failed to lock {log}/lock: not a regular file: move it away"
        if what == "a directory called lock"
        else "failed to lock wal dir .*: [A-Za-z ]+"
    )
    failed(launch("-b", directory, at=f"unix:{tmp_path}/other"), 10, reason)
    assert not Path(tmp_path, "other").exists()


@pytest.mark.parametrize(
    "what",
    [
        "a name that nobody knows",
        "in use",
        "a path too long",
        "a file in the way",
        "a live server's",
        "no such directory",
    ],
)
def test_no_socket_is_status_111(start: Start, launch: Start, tmp_path: Path, what: str) -> None:
    at = f"unix:{tmp_path}/socket"
    options: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        if what == "a name that nobody knows":
            at, line = "nobody.invalid", r"nobody.invalid:0: getaddrinfo\(\): .*"
        elif what == "in use":
            port = other.getsockname()[1]
            options, at, line = (
                ["-p", str(port)],
                "127.0.0.1",
                rf"127.0.0.1:{port}: bind\(\): Address already in use",
            )
        elif what == "a path too long":
            at, line = (
                "unix:" + "x" * 108,
                r"socket path x+ is too long \(108 characters\), where maximum allowed is 107",
            )
        elif what == "a file in the way":
            Path(tmp_path, "socket").touch()
            line = "unix:.*: another file already exists in the given path"
        elif what == "a live server's":
            start()
            line = "unix:.*: another server is listening there"
        else:
            at, line = f"unix:{tmp_path}/none/socket", "unix:.*: No such file or directory"
        failed(launch(*options, at=at), 111, line)
    if what == "a live server's":
        assert Path(tmp_path, "socket").exists()


def test_no_such_user_is_status_33(launch: Start) -> None:
    failed(launch("-u", "nobody-at-all"), 33, r'getpwnam\("nobody-at-all"\): no such user')


NO_RIGHT = """
import errno, os, sys
from beanstalkd_py import cli

def refuse(*arguments):
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

os.initgroups = refuse
sys.exit(cli.main(["beanstalkd-py", *sys.argv[1:]]))
"""


def test_forbidden_user_is_status_34(launch: Start) -> None:
    daemon = launch("-u", "root", at="127.0.0.1", program=(sys.executable, "-c", NO_RIGHT))
    failed(daemon, 34, r'initgroups\("root", 0\): Operation not permitted')


@pytest.mark.parametrize(
    ("make", "name", "status", "line"),
    [
        (os.mkdir, "00000007.wal", 74, "{}"),
        (os.mkfifo, "00000001.wal", 74, "{}"),
        (os.mkfifo, "spare.3", 74, "{}"),
        (os.mkfifo, "lock", 10, "failed to lock {}"),
    ],
)
def test_only_regular_files_are_opened(
    launch: Start, log: str, make: Callable[[str], None], name: str, status: int, line: str
) -> None:
    make(f"{log}/{name}")
    line = line.format(f"{log}/{name}")
    failed(launch("-b", log), status, f"{line}: .*not a regular file: move it away")


@ROOT_ONLY
def test_file_of_another_user_in_the_log_is_status_74(
    start: Start, launch: Start, nobodys: str
) -> None:
    """Somebody started it as root once."""
    log = nobodys
    daemon = start("-b", log)
    daemon.client().put()
    daemon.stop()
    os.chown(f"{log}/lock", pwd.getpwnam("nobody").pw_uid, -1)
    failed(launch("-b", log, "-u", "nobody"), 74, f"{log}/00000001.wal: Permission denied")


@ROOT_ONLY
def test_lock_of_another_user_is_named(launch: Start, nobodys: str) -> None:
    Path(nobodys, "lock").touch(mode=0o600)
    line = f"failed to lock {nobodys}/lock: Permission denied"
    failed(launch("-b", nobodys, "-u", "nobody"), 10, line)


@ROOT_ONLY
def test_refused_thread_is_status_71(launch: Start, nobodys: str) -> None:
    """The limit has no effect on root."""
    limit = resource.RLIMIT_NPROC
    daemon = launch("-b", nobodys, "-u", "nobody", before=lambda: resource.setrlimit(limit, (0, 0)))
    failed(daemon, 71, "cannot start a thread; the limit may be ulimit -u, .*")


@pytest.mark.parametrize("descriptors", range(5, 10))
def test_refused_descriptor_is_status_71(launch: Start, log: str, descriptors: int) -> None:
    failed(launch("-b", log, descriptors=descriptors), 71, "cannot start: Too many open files; .*")


def test_damage_is_status_65(start: Start, launch: Start, log: str) -> None:
    daemon = start("-b", log)
    daemon.client().put(b"x" * 1000)
    daemon.stop()
    (segment,) = Path(log).glob("*.wal")
    data = bytearray(segment.read_bytes())
    data[-200] ^= 1
    segment.write_bytes(data)
    failed(launch("-b", log), 65, f"{segment}: corrupt at offset [0-9]+: expected .*")
    assert segment.read_bytes() == data


# --- standard streams that are closed, or that nobody reads


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_log_never_gets_the_number_of_a_standard_stream(start: Start, log: str, fd: int) -> None:
    """Whoever writes to stderr would write into a segment."""
    daemon = start("-b", log, "-VV", before=lambda: os.close(fd))
    daemon.client().put()
    held = {
        int(name): os.readlink(f"/proc/{daemon.pid}/fd/{name}")
        for name in os.listdir(f"/proc/{daemon.pid}/fd")
    }
    assert held[fd] == "/dev/null"
    assert all(number > 2 for number, path in held.items() if path.startswith((log, "socket")))
    assert daemon.stop() == 0


def closed_pipe(fd: int) -> Callable[[], None]:
    def before() -> None:
        read, write = os.pipe()
        os.close(read)
        os.dup2(write, fd)

    return before


def test_closed_stdout_does_not_stop_the_server(start: Start) -> None:
    daemon = start("-VV", before=closed_pipe(1))
    client = daemon.client()
    assert client.put() == 1
    assert daemon.stop() == 0
    assert daemon.said() == ""


def test_closed_streams_do_not_change_the_exit_status(launch: Start, tmp_path: Path) -> None:
    assert launch("-b", f"{tmp_path}/missing", before=closed_pipe(2)).wait_end() == 10
    assert launch("-x", before=closed_pipe(2)).wait_end() == 5
    assert launch("-v", before=closed_pipe(1)).wait_end() == 0
    assert launch("-v", before=lambda: os.close(1)).wait_end() == 0


def ready_line(daemon: Daemon) -> str:
    """Without the time that the start took."""
    line = daemon.ready_line().removeprefix("beanstalkd-py: ready: ")
    return re.sub(r", after \d+\.\d s\n", "", line)


def test_ready_line_names_build_address_and_memory_only(start: Start, tmp_path: Path) -> None:
    assert ready_line(start()) == f"{BUILD} on {tmp_path}/socket, memory only"
    daemon = start(at="127.0.0.1")
    assert ready_line(daemon) == f"{BUILD} on 127.0.0.1:{daemon.port}, memory only"
    assert daemon.said() == ""  # the kit leaves out this line only


def test_ready_line_counts_jobs_and_segments(start: Start, log: str, tmp_path: Path) -> None:
    where = f"{BUILD} on {tmp_path}/socket, log {log}"
    daemon = start("-b", log, "-s", "65536")
    assert ready_line(daemon) == f"{where}: 0 jobs in 1 segment"
    client = daemon.client()
    for _ in range(3):
        client.put(b"x" * 50_000)
    daemon.stop()
    line = ready_line(start("-b", log, "-s", "65536"))
    segments = len(list(Path(log).glob("*.wal")))
    assert segments >= 3 and line == f"{where}: 3 jobs in {segments} segments"


def test_failed_start_prints_no_ready_line(launch: Start, tmp_path: Path) -> None:
    daemon = launch("-b", f"{tmp_path}/missing")
    assert daemon.wait_end() == 10 and daemon.ready_line() == ""


def test_start_loads_the_take_over_only_if_needed() -> None:
    """A start is quick: it loads no module that only another start needs."""
    show = "import sys, beanstalkd_py.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", show], check=True, capture_output=True, text=True
    ).stdout
    assert "beanstalkd_py.server.server" in loaded.split()
    assert not {"beanstalkd_py.foreign.takeover", "click"} & set(loaded.split())


def test_start_imports_without_the_garbage_collector() -> None:
    """It would walk all modules again and again: a tenth of the time of a start."""
    show = """
import gc, sys, types
from beanstalkd_py import __main__
sys.modules["beanstalkd_py.cli"] = types.SimpleNamespace(run=lambda: print(gc.isenabled()))
__main__.run()
"""
    shown = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True).stdout
    assert shown == "False\n"
