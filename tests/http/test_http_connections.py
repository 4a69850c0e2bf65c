"""Clients of the HTTP side that are slow, idle or too many: they are closed, others are served, and
commands go on. The times are shorter than a server's.
"""

from __future__ import annotations

import resource
from contextlib import ExitStack, suppress

import pytest
from testkit import http
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.http.connections import CONNECTIONS
from tests.http.conftest import changed

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
SHORT = "import beanstalkd_py.http.handler as h; h.{} = 0.1"


def drip(web: str, begin: bytes, piece: bytes) -> bytes:
    """Sends a request that never ends, in small pieces. Returns what came until the server closed.
    Without a limit on time, a limit on size ends the request, with an answer.
    """
    with http.connect(web) as connection:
        connection.sendall(begin)
        connection.settimeout(0.01)
        answered = b""
        while True:
            with suppress(TimeoutError):
                try:
                    data = connection.recv(1000)
                except ConnectionResetError:  # the server has not read the last piece
                    data = b""
                answered += data
                if not data:
                    return answered
            with suppress(BrokenPipeError):
                connection.sendall(piece)


@pytest.mark.parametrize(
    ("limit", "requests"),
    [
        ("IDLE_S", [(b"", b""), (HEAD + b"\r\n", b"")]),
        ("HEAD_S", [(b"", b"aaaaa"), (HEAD, b"aaaaa"), (HEAD + b"\r\nG", b"EEEEE")]),
        ("BODY_S", [(HEAD + b"Content-Length: 5000\r\n\r\n", b"aaaaa")]),
    ],
)
def test_request_without_end_is_closed(
    serve: Start, web: str, limit: str, requests: list[tuple[bytes, bytes]]
) -> None:
    """Each request has a beginning and a piece that comes again and again."""
    daemon = serve(program=changed(SHORT.format(limit)))
    for begin, piece in requests:
        answered = drip(web, begin, piece)
        assert answered.count(b"HTTP/1.1 ") == begin.count(b"\r\n\r\n") - (limit == "BODY_S")
    assert http.get(web, "/healthz").status == 200
    assert daemon.client().put() == 1
    assert daemon.errors() == ""


def test_clients_that_disconnect_leave_nothing(serve: Start, web: str) -> None:
    daemon = serve()
    http.get(web, "/healthz")
    before = daemon.descriptors()
    for request in (b"", b"G", HEAD, HEAD + b"Content-Length: 5\r\n\r\nab", HEAD + b"\r\n"):
        for _ in range(3):
            with http.connect(web) as connection:
                connection.sendall(request)
    wait_until(lambda: daemon.descriptors() == before, "all connections are closed")
    assert daemon.errors() == ""


def test_incomplete_requests_keep_out_nobody(serve: Start, web: str) -> None:
    """Twice as many as there may be."""
    daemon = serve()
    client = daemon.client()
    client.put()
    before = daemon.descriptors()
    for begin in (b"", b"GET / HT", HEAD + b"\r\n", HEAD + b"Content-Length: 9\r\n\r\na"):
        with ExitStack() as stack:
            others = []
            for _ in range(2 * CONNECTIONS):
                others.append(stack.enter_context(http.connect(web)))
                others[-1].sendall(begin)
            assert http.get(web, "/healthz").status == 200
            assert client.put() > 1
            assert daemon.descriptors() <= before + CONNECTIONS + 1
            answered = begin.endswith(b"\r\n\r\n")
            assert http.rest(others[0]).startswith(OK) is answered  # the first one was closed
            if not answered:
                with pytest.raises(BlockingIOError):  # the last one is open
                    others[-1].setblocking(False)
                    others[-1].recv(1)
        wait_until(lambda: daemon.descriptors() == before, "all connections are closed")
    assert daemon.errors() == ""


def test_client_that_does_not_read_is_closed(serve: Start, web: str) -> None:
    """Its answer is larger than what the kernel buffers."""
    daemon = serve(program=changed(SHORT.format("SEND_S")))
    client = daemon.client()
    client.say(b"".join(b"watch tube-%d\r\n" % number for number in range(2000)))
    assert client.hear(2000)[-1] == b"WATCHING 2001\r\n"
    before = daemon.descriptors()
    with http.connect(web) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: daemon.descriptors() > before, "the server has accepted")
        assert client.put() == 1
        wait_until(lambda: daemon.descriptors() == before, "the server has closed", 30)
        assert http.rest(connection).startswith(OK)
    assert daemon.errors() == ""


def test_lack_of_descriptors_pauses_accepting(serve: Start, web: str) -> None:
    daemon = serve(program=changed("import beanstalkd_py.http.connections as c; c.PAUSE_S = 0.05"))
    client = daemon.client()
    client.ask(b"ping\r\n")
    limit = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (daemon.descriptors(), limit[1]))
    with http.connect(web) as waiting:
        waiting.sendall(HEAD + b"Connection: close\r\n\r\n")
        assert not daemon.spins()
        assert client.put() == 1
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limit)
        assert http.rest(waiting).startswith(OK)


FAILING = (
    "import beanstalkd_py.http.health as h\n"
    "def fail(self): raise {}\n"
    "h.Health.reason = property(fail)"
)


@pytest.mark.parametrize("error", ["KeyError('a')", "MemoryError()", "OSError(5, 'b')"])
def test_error_in_a_page_ends_its_request_only(serve: Start, web: str, error: str) -> None:
    daemon: Daemon = serve(program=changed(f"exec({FAILING.format(error)!r})"))
    for _ in range(2):
        assert http.get(web, "/readyz").status == 500
    assert daemon.client().put() == 1
    line = f"beanstalkd-py: http: 'GET /readyz' failed: {error} (<string>, line 2)"
    assert daemon.errors() == f"{line}; please report it\n" * 2
