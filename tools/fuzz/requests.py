"""Malformed HTTP requests to a server process with --http.

Each answer is whole and has a status that blames the client. The server writes nothing to stderr,
answers its health check after each request, and serves clients of the queue meanwhile. With an odd
seed it has a password file: then no answer shows a figure of the server.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import suppress
from pathlib import Path
from random import Random

from testkit import http
from testkit.client import Client
from testkit.daemon import Daemon

from beanstalkd_py.config.passwords import new_user

from .count import Count

REQUESTS = 150
STATUSES = {200, 204, 400, 403, 404, 405, 413, 414, 415, 431, 501}
LOGIN_STATUSES = STATUSES | {401, 429}
FIGURES = (b"beanstalkd_current", b'"stats"', b'"role"')
METHODS = [b"GET", b"HEAD", b"POST", b"OPTIONS", b"get", b"G\x00T", b"", b"CONNECT", b"PUT"]
OURS = [
    *(b"/metrics", b"/api/me", b"/api/server", b"/api/login", b"/api/logout", b"/%61pi/me"),
    *(b"/console/../api/me", b"/console/%2e%2e/metrics", b"/api//me", b"//api/me", b"/API/me"),
]
PATHS = [
    *(b"/healthz", b"/readyz", b"/", b"*", b"/%00", b"/%ff", b"/healthz?a=%", b"//healthz"),
    *OURS,
    *(b"http://localhost/healthz", b"/../healthz", b"/\xff\xfe", b"/" + b"a" * 9000, b"/a b"),
]
VERSIONS = [
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/9.9",
    b"HTTP/1",
    b"HTTP/x.y",
    b"",
    b"\x00",
]
ACCESS = [
    *(b"Content-Type: application/json", b"Sec-Fetch-Site: same-origin", b"Origin: null"),
    *(b"Authorization: Basic YW5uYTph", b"Authorization: Bearer anna.a", b"Authorization: Basic"),
    *(b"Authorization: Bearer \xff.", b"Cookie: beanstalkd_session=a", b"Cookie: ;=\xff"),
]
BODIES = [
    *(b"", b"{}", b"[" * 2000, b"\xff", b'{"name": "anna", "password": "a"}', b'{"name": "anna"}'),
    *(b'{"name": "\\ud800", "password": "\\ud800"}', b'{"name": ["anna"], "password": {}}'),
]
HEADERS = [
    *(b"Host: localhost", b"Host:", b"Host: a\x00b", b"Host : localhost", b"host: [::1]:1"),
    *(b"Content-Length: 5", b"Content-Length: -5", b"Content-Length: 99999999999999999999"),
    *(b"Content-Length: 5, 5", b"Content-Length: 0x5", b"Content-Length:", b"Content-Length: \xb2"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip", b"Connection: close"),
    *(b"Connection: upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"Expect: ?"),
    *(b" folded", b"no colon", b": empty", b"\xff: \xff", b"a: " + b"b" * 5000, b"Cookie: a=b"),
    *ACCESS,
    *(b"Content-Type: multipart/form-data; boundary=", b"Accept-Encoding: gzip", b"Range: bytes=-"),
]
SAID = "([^\n]*: http: failed logins from the unix socket are slowed down\n)?"
ENDS = [b"\r\n", b"\n", b"\r", b""]


def run(seed: int, count: Count, requests: int = REQUESTS) -> None:
    rng = Random(f"requests {seed}")
    with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
        web = f"{scratch}/http"
        options = ["--http", f"unix:{web}"]
        if seed % 2:
            users = Path(scratch, "users")
            users.write_text(new_user("anna", "full", b"her password").line)
            options += ["--http-password-file", str(users)]
        with Daemon(options, f"unix:{scratch}/socket") as daemon:
            daemon.start()
            with Client(daemon.connect()) as client:
                for number in range(1, requests + 1):
                    data = b"".join(_request(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
                    count.input(len(data))
                    _check_answers(_ask(rng, web, data), data, count, bool(seed % 2))
                    assert client.put() == number
                assert http.get(web, "/healthz").status == 200
            assert daemon.stop() == 0
            assert re.fullmatch(SAID if seed % 2 else "", daemon.said()), daemon.said()


def _request(rng: Random) -> bytes:
    return _whole(rng) if rng.random() < 0.4 else _odd(rng)


def _whole(rng: Random) -> bytes:
    """A right request, so that it gets to its page, of somebody who may not ask."""
    body = rng.choice(BODIES)
    head = [
        b"%b %b HTTP/1.1" % (rng.choice(METHODS[:3]), rng.choice(OURS)),
        b"Host: localhost",
        *rng.choices(ACCESS, k=rng.choice((0, 2, 4))),
        b"Content-Length: %d" % len(body),
    ]
    return b"\r\n".join([*head, b"", body])


def _odd(rng: Random) -> bytes:
    """Mostly valid parts, so that the parser gets far."""
    mostly = rng.random() < 0.5
    line = b" ".join(
        (parts[0] if mostly and rng.random() < 0.8 else rng.choice(parts))
        for parts in (METHODS, PATHS, VERSIONS)
    )
    headers = [HEADERS[0], *rng.choices(HEADERS, k=rng.choice((0, 1, 2, 5)))]
    if rng.random() < 0.02:
        headers *= 60
    end = rng.choice(ENDS) if rng.random() < 0.1 else b"\r\n"
    data = bytearray(end.join([line, *headers, b"", rng.randbytes(rng.choice((0, 0, 5, 100)))]))
    if data and rng.random() < 0.3:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


def _ask(rng: Random, web: str, data: bytes) -> bytes:
    """Sends the bytes in pieces, and no more. Returns all answers."""
    with http.connect(web) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            at = rng.randrange(len(data) + 1)
            connection.sendall(data[:at])
            connection.sendall(data[at:])
            connection.shutdown(1)
        return http.rest(connection)


def _check_answers(answers: bytes, data: bytes, count: Count, login: bool) -> None:
    """HEAD is the only request whose answer may have no body; here it is the last or alone."""
    for found in re.finditer(rb"HTTP/1\.1 (\d+) ", answers):
        status = int(found[1])
        assert status in (LOGIN_STATUSES if login else STATUSES) or status == 100, (status, data)
        count.add(f"{status}")
    assert not answers or answers.startswith(b"HTTP/1.1 "), (answers, data)
    assert not (login and any(figure in answers for figure in FIGURES)), (answers, data)
