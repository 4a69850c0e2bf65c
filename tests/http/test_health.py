"""/healthz and /readyz of a server: while it starts, serves, drains, is full, and stops. And a
server without --http, which imports nothing of all this.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from testkit import http
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until

from beanstalkd_py.http.health import Health
from beanstalkd_py.queue.queue import Queue
from tests.http.conftest import changed, http_port

HTTP_MODULES = ("beanstalkd_py.http", "gevent.pywsgi", "prometheus_client", "werkzeug")
# Lists the imported modules at its end.
LISTING = (
    "from beanstalkd_py import cli; import os, sys; status = cli.main(sys.argv);"
    "print(*sys.modules, flush=True); os._exit(status)"
)
# Replays frame after frame, but ends the replay only when a file exists. It shows no progress, also
# on a slow machine.
HELD = (
    "import os, time; from beanstalkd_py.host import progress\n"
    "from beanstalkd_py.host.progress import Progress\n"
    "progress.QUIET_S = float('inf')\n"
    "real = Progress.__call__\n"
    "def call(self, done, total):\n"
    "    while not os.path.exists({!r}):\n"
    "        real(self, done, total); time.sleep(0.001)\n"
    "Progress.__call__ = call"
)


def readyz(web: str) -> tuple[int, str]:
    answer = http.get(web, "/readyz")
    return answer.status, answer.body


def test_server_that_serves_is_healthy_and_ready(serve: Start, web: str) -> None:
    daemon = serve()
    assert http.get(web, "/healthz").body == "ok\n"
    assert readyz(web) == (200, "ready\n")
    assert f", http on {web}, memory only, " in daemon.ready_line()
    assert daemon.stop() == 0
    assert not os.path.exists(web)
    assert daemon.errors() == ""


def test_port_may_be_chosen_by_the_kernel(launch: Start) -> None:
    daemon = launch("--http", "127.0.0.1:0")
    assert readyz(("127.0.0.1", http_port(daemon))) == (200, "ready\n")  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", [False, True])
def test_http_is_imported_only_if_it_is_wanted(start: Start, web: str, wanted: bool) -> None:
    options = ("--http", f"unix:{web}") if wanted else ()
    daemon = start(*options, program=changed(f"exec({LISTING!r})"))
    assert daemon.stop() == 0
    modules = daemon.output().split()
    assert "beanstalkd_py.server.server" in modules
    found = {name for name in modules if name.startswith(HTTP_MODULES)}
    assert bool(found) is wanted, found
    # The hub of gevent imports it for messages that the server does not use.
    assert wanted or "pprint" not in modules


def test_drained_server_is_not_ready(serve: Start, web: str) -> None:
    daemon = serve()
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: readyz(web) == (503, "draining\n"), "the server drains")
    assert http.get(web, "/healthz").status == 200


def test_server_at_its_memory_limit_is_not_ready(serve: Start, web: str) -> None:
    daemon = serve("--max-memory", "2000")
    client = daemon.client()
    assert readyz(web) == (200, "ready\n")
    client.put(b"a" * 1500)
    assert readyz(web) == (503, "full: the jobs take the memory of --max-memory\n")


def answers(web: str) -> bool:
    with suppress(FileNotFoundError, ConnectionRefusedError):
        return http.get(web, "/healthz").status == 200
    return False


def replaying(
    serve: Start, launch: Start, web: str, log: str, go: Path, *options: str, **how: Any
) -> Daemon:
    """A server that replays a log of one job until the file `go` exists."""
    first = serve("-b", log)
    first.client().put(b"job")
    assert first.stop() == 0
    program = changed(f"exec({HELD.format(str(go))!r})")
    return launch("-b", log, "--http", f"unix:{web}", *options, program=program, **how)


def test_replay_answers_health_checks(
    serve: Start, launch: Start, web: str, log: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    daemon = replaying(serve, launch, web, log, go)
    wait_until(lambda: answers(web), "the HTTP side answers")
    assert readyz(web) == (503, "replaying the log\n")
    assert http.get(web, "/healthz").status == 200
    go.touch()
    daemon.wait_ready()
    assert readyz(web) == (200, "ready\n")


def test_reload_during_the_replay_counts(
    serve: Start, launch: Start, web: str, log: str, tmp_path: Path
) -> None:
    """Here the loop turns before the log is open: the window of -f is that of the reload. The
    service manager does not hear that the server is ready.
    """
    go, config, notify = tmp_path / "go", tmp_path / "config", str(tmp_path / "notify")
    config.write_text("sync_ms = 86400000\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(notify)
        manager.settimeout(HANG_S)
        options, environ = ("--config", str(config)), {"NOTIFY_SOCKET": notify}
        daemon = replaying(serve, launch, web, log, go, *options, environ=environ)
        wait_until(lambda: answers(web), "the HTTP side answers")
        config.write_text("sync_ms = 1\n")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: "sync_ms 86400000 -> 1" in daemon.events(), "the server has reloaded")
        go.touch()
        daemon.wait_ready().client().put()
        while b"READY" not in (state := manager.recv(4096)):
            pass
        assert state == b"READY=1\nSTATUS=serving"
    synced = "\nbeanstalkd_binlog_durable_lag_records 0.0\n"
    wait_until(lambda: synced in http.get(web, "/metrics").body, "the put is synced")


def test_replay_with_open_requests_is_stopped(
    serve: Start, launch: Start, web: str, log: str, tmp_path: Path
) -> None:
    daemon = replaying(serve, launch, web, log, tmp_path / "never")
    wait_until(lambda: answers(web), "the HTTP side answers")
    with http.connect(web) as waiting, http.connect(web) as unfinished:
        unfinished.sendall(b"GET / HTTP/1.1\r\nHo")
        assert readyz(web)[0] == 503
        assert daemon.stop() == 0
        assert http.rest(waiting) == http.rest(unfinished) == b""
    assert daemon.errors() == ""
    assert not os.path.exists(web)


def test_server_that_stops_is_not_ready(serve: Start, web: str) -> None:
    """It stays until a client has read its replies, here for as long as the test needs."""
    daemon = serve("-z", "10000000")
    client = daemon.client()
    id = client.put(b"a" * 9_000_000)
    client.say(b"peek %d\r\n" % id)
    daemon.terminate()
    wait_until(lambda: readyz(web) == (503, "stopping\n"), "the server stops")
    client.rest()
    assert daemon.wait_end() == 0


# Health alone


@pytest.fixture
def health() -> Health:
    health = Health(Queue())
    health.phase = ""
    return health


def test_full_disk_is_a_reason(health: Health) -> None:
    headroom = SimpleNamespace(accepts_puts=False)
    health.log = SimpleNamespace(headroom=headroom)  # type: ignore[assignment]
    assert health.reason == "full: the disk has no space for puts"
    headroom.accepts_puts = True
    assert health.reason == ""


def test_released_memory_reserve_is_a_reason() -> None:
    queue = Queue()
    health = Health(queue)
    health.phase = ""
    queue.memory.release()
    assert health.reason == "full: the system gives no memory for puts"
