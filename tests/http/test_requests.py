"""Requests that are wrong, too large or not for this server: an error status, and the server goes
on. Also the check of the Host header.
"""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import TemporaryDirectory

import pytest
from testkit import http
from testkit.daemon import Daemon
from testkit.start import Start

from beanstalkd_py.http import handler
from beanstalkd_py.http.hosts import is_loopback_name
from tests.http.conftest import http_port

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """One server for all of these requests: none of them may harm it."""
    with TemporaryDirectory() as directory:
        web = f"{directory}/http"
        options = ("--http", f"unix:{web}")
        with Daemon(options, at=f"unix:{directory}/socket").start() as daemon:
            yield web
            assert daemon.stop() == 0
            assert daemon.errors() == ""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),  # HTTP/0.9
        (b"GET /healthz HTTP/1\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1 more\r\n\r\n", 400),
        (b"put 0 0 60 1\r\na\r\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", 400),  # TLS
        (GET + b"no colon\r\n\r\n", 400),
        (GET + b"Host: localhost\r\n\r\n", 400),
        (GET + b"Content-Length: -1\r\n\r\n", 400),
        (GET + b"Content-Length: +1\r\n\r\na", 400),
        (GET + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (GET + b"Content-Length: %d\r\n\r\n" % (handler.BODY_BYTES + 1), 413),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (GET + b"a: b\r\n" * 101 + b"\r\n", 400),
        (GET + b"a: %b\r\n\r\n" % (b"b" * handler.HEAD_BYTES), 431),
        (GET + b"a: %b\r\n" % (b"b" * 200) * 90 + b"\r\n", 431),
        (b"GET /%b HTTP/1.1\r\n\r\n" % (b"a" * 8192), 414),
    ],
)
def test_wrong_request_has_an_error_status(served: str, request_bytes: bytes, status: int) -> None:
    answer = http.talk(served, request_bytes)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert answer.count(b"HTTP/1.1") == 1
    assert http.get(served, "/healthz").status == 200


def test_unknown_page_and_method(served: str) -> None:
    assert http.get(served, "/nothing").status == 404
    wrong = http.get(served, "/healthz", method="DELETE")
    assert (wrong.status, set(wrong.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert http.get(served, "/healthz", method="HEAD").body == ""


def test_responses_may_not_be_stored_or_run(served: str) -> None:
    for path in ("/healthz", "/nothing"):
        headers = http.get(served, path).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_connection_stays_open_for_further_requests(served: str) -> None:
    last = GET + b"Connection: close\r\n\r\n"
    assert (
        http.talk(served, GET + b"Content-Length: 3\r\n\r\nabc" + GET + b"\r\n" + last).count(OK)
        == 3
    )


@pytest.mark.parametrize("path", ["/metrics", "/api/events", "/healthz", "/nothing"])
def test_nothing_follows_the_head_of_a_head(served: str, path: str) -> None:
    head = b"HEAD %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()
    last = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    first, _, second = http.talk(served, head + last).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 ") and second.startswith(b"HTTP/1.1 200 OK\r\n")


def test_body_is_read_after_100_continue(served: str) -> None:
    with http.connect(served) as connection:
        connection.sendall(
            GET + b"Expect: 100-continue\r\nContent-Length: 1\r\nConnection: close\r\n\r\n"
        )
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"a")
        assert http.rest(connection).startswith(OK)


# The Host header


def test_foreign_host_is_refused_on_loopback(launch: Start) -> None:
    daemon = launch("--http", "127.0.0.1:0")
    address = ("127.0.0.1", http_port(daemon))  # type: ignore[arg-type]
    assert http.get(address, "/healthz").status == 200
    refused = http.get(address, "/healthz", host="rebound.example.com:11380")
    assert (refused.status, refused.body) == (
        403, "The Host header must be a loopback name, such as localhost.\n"
    )  # fmt: skip
    assert http.talk(address, b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 403 ")


def test_unix_socket_accepts_every_host(served: str) -> None:
    assert http.get(served, "/healthz", host="anything").status == 200


@pytest.mark.parametrize(
    "host",
    ["localhost", "LocalHost:80", "127.0.0.1", "127.0.0.1:11380", "127.1.2.3", "[::1]", "[::1]:1"],
)
def test_loopback_names(host: str) -> None:
    assert is_loopback_name(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "0.0.0.0", "[::]"),
        *("localhost,example.com", "localhost:80:90", "localhost:port", " localhost", "::1"),
        *("user@localhost", "2130706433", "localhost\n", "[::1", "\u0661\u0662\u0667.0.0.1"),
    ],
)
def test_other_names_are_not_loopback(host: str) -> None:
    assert not is_loopback_name(host)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_other_addresses_need_a_login(launch: Start, address: str) -> None:
    daemon = launch("--http", address)
    assert daemon.wait_end() == 111
    assert daemon.said() == (
        f"beanstalkd-py: --http {address}: not a loopback address: others could use it without a "
        "login; use 127.0.0.1, unix:PATH, or --http-password-file\n"
    )


def test_address_in_use_is_one_line(launch: Start) -> None:
    port = http_port(launch("--http", "127.0.0.1:0"))  # type: ignore[arg-type]
    second = launch("--http", f"127.0.0.1:{port}", at="127.0.0.1")
    assert second.wait_end() == 111
    assert second.said() == f"beanstalkd-py: 127.0.0.1:{port}: bind(): Address already in use\n"
