"""The daemon as a service manager and an operator run it: notification, inherited sockets, another
user, addresses.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from testkit.daemon import OURS, Daemon
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until

SLOW_REPLAY = """
import os, sys, time
from beanstalkd_py import cli
from beanstalkd_py.binlog import replay
from beanstalkd_py.host import progress

whole = replay.Replayer.apply

def apply(self, frame):
    while not os.path.exists("%s"):
        time.sleep(0.002)
    whole(self, frame)

replay.Replayer.apply = apply
progress.QUIET_S = 0
sys.exit(cli.main(["slow", *sys.argv[1:]]))
"""


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"{tmp_path}/notify")
        manager.settimeout(HANG_S)
        yield manager


def test_service_manager_is_notified_of_ready_and_stop(
    start: Start, launch: Start, log: str, manager: socket.socket, tmp_path: Path
) -> None:
    first = start("-b", log)
    first.client().put()
    first.stop()
    program = (sys.executable, "-c", SLOW_REPLAY % (tmp_path / "go"))
    daemon = launch("-b", log, program=program, environ={"NOTIFY_SOCKET": manager.getsockname()})
    wait_until(daemon.listens, "the daemon listens")
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        manager.recv(1000)
    manager.settimeout(HANG_S)
    (tmp_path / "go").touch()
    progress = manager.recv(1000)
    assert re.fullmatch(
        rb"STATUS=reading .*: \d+ % of 0 MB\nEXTEND_TIMEOUT_USEC=60000000", progress
    )
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving"
    assert daemon.client().ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"
    assert daemon.stop() == 0
    assert manager.recv(1000) == b"STOPPING=1"


def test_watchdog_hears_of_a_server_whose_loop_turns(start: Start, manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"}
    daemon = start(environ=environ)
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving"
    for _ in range(3):
        assert manager.recv(1000) == b"WATCHDOG=1"
    assert daemon.stop() == 0


INHERIT = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_inherited_socket_keeps_clients_across_a_restart(
    launch: Start, log: str, tmp_path: Path, family: int
) -> None:
    with closing(listener(family, tmp_path)) as inherited:
        at = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}.get(
            family, f"unix:{tmp_path}/inherited"
        )

        def next_one() -> Daemon:
            program = (sys.executable, "-c", INHERIT, str(inherited.fileno()), *OURS)
            daemon = launch(
                "-b",
                log,
                at=at,
                program=program,
                environ={"LISTEN_FDS": "1"},
                pass_fds=(inherited.fileno(),),
            )
            return daemon.wait_ready()

        first = next_one()
        assert first.client().put() == 1
        assert first.stop() == 0
        early = first.client()  # nobody is there, but it is not refused
        early.say(b"reserve\r\n")
        second = next_one()
        assert early.hear() == [b"RESERVED 1 1\r\nx\r\n"]
        ignored = (
            []
            if family == socket.AF_UNIX
            else ["beanstalkd-py: inherited listen fd; ignoring option: -p 0"]
        )
        assert second.said().splitlines() == [
            *ignored,
            f"beanstalkd-py: inherited listen fd; ignoring option: -l {at}",
        ]


def listener(family: int, tmp_path: Path) -> socket.socket:
    if family == socket.AF_UNIX:
        made = socket.socket(family)
        made.bind(f"{tmp_path}/inherited")
        made.listen()
        return made
    if family == socket.AF_INET6:
        need_ipv6()
    return socket.create_server(
        ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0),
        family=socket.AddressFamily(family),
    )


def need_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")


def test_ipv6_address_is_served(start: Start) -> None:
    need_ipv6()
    daemon = start("-V", at="::1")
    assert daemon.client().put() == 1
    assert f"[::1]:{daemon.port}\n" in daemon.said()


def test_socket_file_of_a_dead_server_is_replaced(start: Start) -> None:
    daemon = start()
    daemon.kill()
    assert Path(daemon.at.removeprefix("unix:")).exists()
    second = start()
    assert second.client().put() == 1
    assert second.said() == "beanstalkd-py: removing existing local socket to replace it\n"


NOTHING_LATER = """
import os, sys
from beanstalkd_py import cli

late = []
become = os.setuid

def setuid(uid):
    become(uid)
    def audit(event, arguments):
        if event == "import":
            late.append(arguments[0])

    sys.addaudithook(audit)

os.setuid = setuid
status = cli.main(["user", *sys.argv[1:]])
print(late)
sys.exit(status)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_server_runs_as_another_user_without_privileges(start: Start, nobodys: str) -> None:
    """What it would load later, that user may not be allowed to read."""
    daemon = start(
        "-u",
        "nobody",
        "-b",
        nobodys,
        "-s",
        "65536",
        at="127.0.0.1",
        program=(sys.executable, "-c", NOTHING_LATER),
    )
    nobody = pwd.getpwnam("nobody")
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    assert re.search(rf"\nUid:(\t{nobody.pw_uid}){{4}}\n", status) and re.search(
        rf"\nGid:(\t{nobody.pw_gid}){{4}}\n", status
    )
    assert re.search(rf"\nGroups:\t{nobody.pw_gid} *\n", status)
    client = daemon.client()
    for _ in range(20):  # rotation, compaction
        client.put(b"x" * 30_000)
    client.say(b"".join(b"delete %d\r\n" % id for id in range(2, 20)))
    client.hear(18)
    assert b"" not in [
        client.ask(line + b"\r\n")
        for line in (b"stats", b"stats-job 1", b"stats-tube default", b"list-tubes", b"reserve")
    ]
    assert client.ask(b"reserve-with-timeout 0\r\n").startswith(b"RESERVED 20 ")
    assert client.ask(b"watch other\r\n") == b"WATCHING 2\r\n"
    ahead = daemon.client()
    ahead.say(b"reserve\r\n" + b"list-tube-used\r\n" * 10_000)
    ahead.half_close()
    assert len(ahead.rest().splitlines()) == 10_001
    assert daemon.stop() == 0
    assert daemon.said() == "[]\n"
    assert {path.stat().st_uid for path in Path(nobodys).iterdir()} == {nobody.pw_uid}
