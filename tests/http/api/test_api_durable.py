"""Answers of the API wait for the log, as the replies to all clients do."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from testkit import http
from testkit.slow_disk import SlowDisk
from testkit.waiting import HANG_S, wait_until

from tests.http.api.conftest import Api

# In the answer of /api/events, and at the end of the others.
DATA = re.compile(rb"\r\n\r\n[{1]|\ndata: ")
LAG = "\nbeanstalkd_binlog_durable_lag_records 2.0\n"


@pytest.fixture
def slow(tmp_path: Path) -> SlowDisk:
    return SlowDisk(tmp_path, threads=True)


@pytest.fixture
def api(serve_api: Callable[..., Api], log: str, slow: SlowDisk) -> Iterator[Api]:
    """A server with a job. Its syncs wait, and puts of other clients wait for one. (A put that
    comes alone would be synced on the loop, which would wait too.)
    """
    api = serve_api("-b", log, environ=slow.environ)
    api.put(b"a")
    slow.stop()
    with api.daemon.client() as one, api.daemon.client() as other:
        one.ask(b"ping\r\n"), other.ask(b"ping\r\n")
        with api.daemon.stopped():
            for client in one, other:
                client.say(b"put-in-tube mail 0 0 60 1\r\nb\r\n")
        wait_until(lambda: LAG in http.get(api.web, "/metrics").body, "the puts wait")
        yield api
        slow.go_on()
        assert one.hear() + other.hear() == [b"INSERTED 2\r\n", b"INSERTED 3\r\n"]


def ask(web: str, method: str, path: str, body: str) -> socket.socket:
    connection = http.connect(web)
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    head += "Content-Type: application/json\r\nSec-Fetch-Site: same-origin\r\n"
    kind = f"Content-Length: {len(body)}\r\n\r\n{body}"
    connection.sendall((head + kind).encode())
    return connection


ACTIONS = [
    ("/api/jobs", '{"tube": "mail"}'),
    ("/api/jobs/1/delete", "{}"),
    ("/api/actions/bury", '{"ids": [1]}'),
    ("/api/tubes/mail/jobs/delete", '{"state": "ready", "contains": "a"}'),
    ("/api/tubes/mail/truncate", "{}"),
    ("/api/tubes/mail/pause", '{"seconds": 9}'),
    ("/api/tubes/mail/policy", '{"expire": 9}'),
]
READS = [
    "/api/jobs/2",
    "/api/jobs/2/body",
    "/api/tubes",
    "/api/tubes/mail",
    "/api/tubes/mail/jobs?state=ready",
    "/api/tubes/mail/jobs?state=ready&contains=b",
    "/api/server",
    "/api/events",
]


def test_action_is_answered_when_it_is_durable(api: Api, slow: SlowDisk) -> None:
    _wait_for_the_sync(api, slow, [("POST", path, body) for path, body in ACTIONS])


def test_nothing_is_shown_that_is_not_durable(api: Api, slow: SlowDisk) -> None:
    _wait_for_the_sync(api, slow, [("GET", path, "") for path in READS])


def _wait_for_the_sync(api: Api, slow: SlowDisk, requests: list[tuple[str, str, str]]) -> None:
    with ExitStack() as stack:
        asked = [stack.enter_context(ask(api.web, *request)) for request in requests]
        # The server has handled the requests when it has handled later ones.
        for _ in range(5):
            assert http.get(api.web, "/healthz").status == 200
        heard = [received(connection) for connection in asked]
        assert [data for data in heard if DATA.search(data)] == []
        slow.go_on()
        for n, connection in enumerate(asked):
            while not DATA.search(heard[n]):
                heard[n] += connection.recv(1 << 20)
            assert re.match(rb"HTTP/1.1 [24]", heard[n])
        slow.stop()


def received(connection: socket.socket) -> bytes:
    """What has come so far. Of /api/events, that is the head, and when to come again."""
    connection.setblocking(False)
    try:
        return connection.recv(1 << 20)
    except BlockingIOError:
        return b""
    finally:
        connection.settimeout(HANG_S)
