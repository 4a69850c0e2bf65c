"""SIGHUP to a running server: what changes, what does not, and that no client notices."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import pytest
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beanstalkd.toml"


def reload(daemon: Daemon, path: Path, text: str) -> str:
    """The line about it."""
    before = daemon.errors()
    replace(path, text)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.errors() != before, "the server has reloaded")
    return daemon.errors().removeprefix(before).removeprefix("beanstalkd-py: ")


def replace(path: Path, text: str) -> None:
    """At once, because the server may be reading."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@pytest.fixture
def daemon(start: Start, path: Path) -> Daemon:
    path.write_text("max_job_size = 3\n")
    return start("--config", str(path))


def test_file_is_read_at_the_start(daemon: Daemon) -> None:
    client = daemon.client()
    assert client.stat(b"max-job-size") == b"3"
    assert client.ask(b"put 0 0 60 4\r\nabcd\r\n") == b"JOB_TOO_BIG\r\n"


def test_largest_job_changes_for_connected_clients_too(daemon: Daemon, path: Path) -> None:
    client = daemon.client()
    put = b"put 0 0 60 4\r\nabcd\r\n"
    assert client.ask(put) == b"JOB_TOO_BIG\r\n"
    assert reload(daemon, path, "max_job_size = 4") == (
        f"reloaded {path}: changed: max_job_size 3 -> 4\n"
    )
    assert client.ask(put) == b"INSERTED 1\r\n"
    assert client.stat(b"max-job-size") == b"4"
    assert daemon.client().ask(put) == b"INSERTED 2\r\n"
    reload(daemon, path, "max_job_size = 2")
    assert client.ask(put) == b"JOB_TOO_BIG\r\n"


def test_body_that_is_being_received_is_kept(daemon: Daemon, path: Path) -> None:
    client = daemon.client()
    client.say(b"put 0 0 60 3\r\na")
    assert daemon.client().stat(b"current-connections") == b"2"  # the server has the `a`
    reload(daemon, path, "max_job_size = 1")
    assert client.ask(b"bc\r\n") == b"INSERTED 1\r\n"


def test_reload_that_writes_fewer_events_is_still_reported(daemon: Daemon, path: Path) -> None:
    text = "max_job_size = 3\nlog_level = 'error'"
    assert reload(daemon, path, text) == f"reloaded {path}: changed: log_level info -> error\n"
    replace(path, "max_job_size = 4\nlog_level = 'error'")
    daemon.send_signal(signal.SIGHUP)
    client = daemon.client()
    wait_until(lambda: client.stat(b"max-job-size") == b"4", "the server has reloaded")
    assert daemon.errors().count("\n") == 1, "no line below the level"


def test_verbosity_changes(daemon: Daemon, path: Path) -> None:
    reload(daemon, path, "max_job_size = 3\nverbosity = 1")
    daemon.client().ask(b"list-tube-used\r\n")
    assert "accept" in daemon.output()


def test_file_with_mistakes_changes_nothing(daemon: Daemon, path: Path) -> None:
    assert reload(daemon, path, "max_job_size = 4\n\nport = true\nuser = 1") == (
        f"not reloaded: {path}:3: port: expected an integer from 0 to 65535, or the name of a "
        "service, found a boolean (1 more: see --check-config); nothing has changed\n"
    )
    assert daemon.client().stat(b"max-job-size") == b"3"


def test_missing_file_changes_nothing(daemon: Daemon, path: Path) -> None:
    path.unlink()
    daemon.send_signal(signal.SIGHUP)
    wait_until(daemon.errors, "the server has a line")
    assert daemon.errors() == (
        f"beanstalkd-py: not reloaded: {path}: No such file or directory; nothing has changed\n"
    )
    assert daemon.client().stat(b"max-job-size") == b"3"


def test_what_needs_a_restart_is_named_at_each_reload(daemon: Daemon, path: Path) -> None:
    for _ in range(2):
        assert reload(daemon, path, "max_job_size = 3\nport = 1") == (
            f"reloaded {path}: not changed without a restart: port (unset) -> 1\n"
        )
    assert reload(daemon, path, "max_job_size = 3") == f"reloaded {path}: nothing has changed\n"


def test_flag_wins_over_the_file_at_a_reload(start: Start, path: Path) -> None:
    path.write_text("")
    daemon = start("-z", "7", "--config", str(path))
    assert reload(daemon, path, "max_job_size = 9") == f"reloaded {path}: nothing has changed\n"
    assert daemon.client().stat(b"max-job-size") == b"7"


def test_hang_up_without_a_file_ends_the_server_as_in_c(start: Start) -> None:
    daemon = start()
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    masks = re.findall(r"^Sig(?:Blk|Ign|Cgt):\t(\w+)$", status, re.MULTILINE)
    assert [int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in masks] == [0, 0, 0]
    assert daemon.stop(signal.SIGHUP) == -signal.SIGHUP


def test_service_manager_hears_of_the_reload(start: Start, path: Path, tmp_path: Path) -> None:
    path.write_text("")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(HANG_S)
        manager.bind(str(tmp_path / "notify"))
        environ = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        daemon = start("--config", str(path), environ=environ)
        assert manager.recv(4096).startswith(b"READY=1\n")
        daemon.send_signal(signal.SIGHUP)
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(4096) == b"READY=1"


def test_reloads_under_load_lose_no_connection_and_no_job(
    start: Start, path: Path, log: str
) -> None:
    rounds, clients, puts = 8, 10, 20
    path.write_text(f'wal_dir = "{log}"\n')
    daemon = start("--config", str(path))
    connected = [daemon.client() for _ in range(clients)]
    connections = connected[0].stat(b"total-connections")
    deleted: set[bytes] = set()
    added: set[bytes] = set()
    for round_ in range(rounds):
        replace(path, f'wal_dir = "{log}"\nmax_job_size = {1000 + round_}\nverbosity = 0\n')
        for number, client in enumerate(connected):
            if number % 3 == 0:
                daemon.send_signal(signal.SIGHUP)
            client.say(b"put 0 0 60 900\r\n" + b"x" * 900 + b"\r\n")
            client.say(b"put 0 0 60 1\r\nx\r\n" * (puts - 1) + b"reserve\r\n")
        for client in connected:
            *inserted, reserved = client.hear(puts + 1)
            assert {line[:9] for line in inserted} == {b"INSERTED "}
            added.update(line.split()[1] for line in inserted)
            id = reserved.split()[1]
            assert client.ask(b"delete %s\r\n" % id) == b"DELETED\r\n"
            deleted.add(id)
    last = b"%d" % (1000 + rounds - 1)
    wait_until(lambda: connected[0].stat(b"max-job-size") == last, "the last file is read")
    assert len(added) == rounds * clients * puts
    assert len(deleted) == rounds * clients
    assert connected[0].stat(b"total-connections") == connections
    assert connected[0].stat(b"current-jobs-ready") == b"%d" % (len(added) - len(deleted))
    daemon.kill()
    again = start("--config", str(path)).client()
    assert again.stat(b"current-jobs-ready") == b"%d" % (len(added) - len(deleted))
