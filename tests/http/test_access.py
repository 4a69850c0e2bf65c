"""Who may: logins, roles, and where a request comes from, on a running server."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from testkit import http
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from beanstalkd_py.http.access import Access
from tests.http.conftest import http_port
from tests.http.users import ANNA, JSON, RITA, basic, cookie, error, lines, log_in, post, user

POSTED = "/api/no-such-path"  # refused before it is looked for, or 404


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """A server with a login, for all requests that leave nothing."""
    with TemporaryDirectory() as directory:
        web = f"{directory}/http"
        users = Path(directory) / "users"
        users.write_text(lines(ANNA, RITA))
        options = ("--http", f"unix:{web}", "--http-password-file", str(users))
        with Daemon(options, at=f"unix:{directory}/socket").start() as daemon:
            yield web
            assert daemon.errors() == ""


@pytest.fixture
def users(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    path.write_text(lines(ANNA, RITA))
    return path


def me(web: http.Address, headers: dict[str, str]) -> object:
    answer = http.send(web, "GET", "/api/me", headers)
    assert answer.status == 200
    return json.loads(answer.body)


def test_nothing_but_probes_is_open_without_a_login(served: str) -> None:
    for path in ("/healthz", "/readyz"):
        assert http.get(served, path).status == 200
    for path in ("/metrics", "/api/me", "/api/openapi.json", "/nothing", "/console", "/API/me"):
        answer = http.get(served, path)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (
            401,
            'Bearer realm="beanstalkd"',
        )
    assert http.get(served, "/metrics").body == "A login is needed.\n"
    assert error(http.get(served, "/api/me")) == (401, "login")


def test_session_begins_with_a_login_and_ends_with_its_logout(served: str) -> None:
    answer = log_in(served, "anna")
    assert json.loads(answer.body) == {"name": "anna", "role": "full", "read_only": False}
    session = cookie(answer)
    assert me(served, session) == json.loads(answer.body)
    assert http.send(served, "GET", "/metrics", session).status == 200
    left = post(served, "/api/logout", session)
    assert (left.status, left.body) == (204, "")
    assert "Max-Age=0" in left.headers["Set-Cookie"]
    assert error(http.send(served, "GET", "/api/me", session)) == (401, "login")


def test_long_login_is_not_parsed(served: str) -> None:
    """Anybody can send it."""
    longest = json.dumps({"name": "anna", "password": "\u20ac" * 341})
    for body, status in ((longest, 401), ("[" + "[]," * 6000 + "1]", 413)):
        assert http.send(served, "POST", "/api/login", JSON, body).status == status


def test_login_ends_the_session_before(served: str) -> None:
    first = cookie(log_in(served, "anna"))
    second = cookie(log_in(served, "rita", **first))
    assert first != second
    assert http.send(served, "GET", "/api/me", first).status == 401
    assert http.send(served, "GET", "/api/me", second).status == 200


@pytest.mark.parametrize(
    ("origin", "secure"), [("http://localhost", ""), ("https://localhost", "Secure")]
)
def test_cookie_is_for_requests_of_our_own_pages_only(
    served: str, origin: str, secure: str
) -> None:
    _, *attributes = log_in(served, "anna", Origin=origin).headers["Set-Cookie"].split("; ")
    wanted = {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200", secure} - {""}
    assert {each for each in attributes if not each.startswith("Expires")} == wanted


def test_cookie_belongs_to_the_port(served: str) -> None:
    """Browsers send the cookies of one port to another, where they are of no use."""
    for host, name in (
        ("localhost", ""),
        ("localhost:81", "_81"),
        ("[::1]:81", "_81"),
        ("[::1]", ""),
    ):
        answer = log_in(served, "anna", Host=host)
        assert answer.headers["Set-Cookie"].startswith(f"beanstalkd_session{name}=")
        assert me(served, {**cookie(answer), "Host": host})


@pytest.mark.parametrize("end", ["logout", "reload"])
@pytest.mark.parametrize("with_session", [True, False])
def test_stream_ends_with_the_right_to_it(end: str, with_session: bool) -> None:
    """As that of /api/events, which goes on until the client leaves."""
    closed = []

    def pieces() -> Iterator[bytes]:
        try:
            while True:
                yield b"sample"
        finally:
            closed.append(True)

    access = Access({"anna": ANNA}, True, False, lambda *a, **more: None)
    token = access._sessions.begin(ANNA)
    headers = {"Cookie": f"beanstalkd_session={token}"} if with_session else basic("anna")
    request = Request(EnvironBuilder("/api/events", headers=headers).get_environ())
    stream = iter(access.while_allowed(request, Response(pieces())).response)
    assert [next(stream), next(stream)] == [b"sample"] * 2
    if end == "logout":
        access._sessions.end(token)
    else:
        access.set_users({"anna": user("anna", "read")})
    ends = with_session or end == "reload"
    if ends:
        with pytest.raises(ConnectionResetError):
            next(stream)
    else:
        assert next(stream) == b"sample"
    assert closed == [True] * ends


def test_half_of_a_body_does_not_look_whole(launch: Start, users: Path, web: str) -> None:
    """Its session ends while it is sent."""
    options = ("--http", f"unix:{web}", "--http-password-file", str(users), "-z", "2000000")
    daemon = launch(*options).wait_ready()
    daemon.client().put(b"x" * 2_000_000)
    session = cookie(log_in(web, "anna"))
    with http.connect(web) as connection:
        head = "GET /api/jobs/1/body HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: "
        connection.sendall(f"{head}{session['Cookie']}\r\n\r\n".encode())
        assert b"200 OK" in connection.recv(100)
        assert post(web, "/api/logout", session).status == 204
        got = http.rest(connection)
    assert len(got) < 2_000_000 and not got.endswith(b"0\r\n\r\n")
    assert daemon.errors() == ""


def test_programs_send_name_and_password(served: str) -> None:
    bearer = {"Authorization": "Bearer anna.anna's password"}
    for headers in (
        basic("anna"),
        bearer,
        {"Authorization": basic("anna")["Authorization"].replace("B", "b", 1)},
    ):
        assert me(served, headers) == {"name": "anna", "role": "full", "read_only": False}
    assert http.send(served, "GET", "/metrics", basic("rita")).status == 200


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ?",
        "Basic \xff",
        "Basic YW5uYQ==",
        "Digest a",
        "Bearer anna",
        "Bearer .",
        "Bearer a b.c",
        "",
    ],
)
def test_odd_authorization_is_refused(served: str, value: str) -> None:
    session = cookie(log_in(served, "anna"))
    answer = http.send(served, "GET", "/api/me", {**session, "Authorization": value})
    assert error(answer) == (401, "wrong_password"), "also with a session"


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"name": "anna"}', '{"name": 1, "password": "a"}', "[" * 10_000, "\x00"],
)
def test_odd_login_is_refused(served: str, body: str) -> None:
    assert error(http.send(served, "POST", "/api/login", JSON, body)) == (400, "bad_login")


def test_role_read_changes_nothing(served: str) -> None:
    for headers in (basic("rita"), cookie(log_in(served, "rita"))):
        assert me(served, headers) == {"name": "rita", "role": "read", "read_only": True}
        for method in ("POST", "PUT", "DELETE", "PATCH", "ODD"):
            answer = http.send(served, method, POSTED, {**JSON, **headers}, "{}")
            assert error(answer) == (403, "read_only"), method
    assert post(served, POSTED, basic("anna")).status == 404


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://other.example.com"}, True),
        ({"Origin": "http://localhost"}, True),
        ({"Origin": "https://LOCALHOST"}, True),
        ({"Origin": "https://queue.example.com:8443", "Host": "queue.example.com:8443"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "none"}, False),
        ({"Origin": "http://localhost:81"}, False),
        ({"Origin": "http://localhost.example.com"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "null", "Host": ""}, False),
        ({"Origin": "file://localhost"}, False),
        ({}, False),
    ],
)
def test_change_must_come_from_our_own_page(
    served: str, headers: dict[str, str], allowed: bool
) -> None:
    sent = {"Content-Type": "application/json", **headers}
    for who, path in ((basic("anna"), POSTED), ({}, "/api/login")):
        answer = http.send(served, "POST", path, {**sent, **who}, "{}")
        if allowed:
            assert answer.status in (400, 404)
        else:
            assert error(answer) == (403, "cross_site")


def test_program_with_a_bearer_needs_no_origin(served: str) -> None:
    bearer = {"Authorization": "Bearer anna.anna's password", "Content-Type": "application/json"}
    assert http.send(served, "POST", POSTED, bearer, "{}").status == 404
    foreign = {**bearer, "Origin": "https://example.com"}
    assert error(http.send(served, "POST", POSTED, foreign, "{}")) == (403, "cross_site")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_body_that_a_form_can_send_is_refused(served: str, kind: str) -> None:
    for path in (POSTED, "/api/login"):
        headers = {**JSON, **basic("anna"), "Content-Type": kind}
        assert error(http.send(served, "POST", path, headers, "{}")) == (415, "not_json")


def test_pages_of_other_sites_may_not_look(served: str) -> None:
    headers = {**basic("anna"), "Sec-Fetch-Site": "cross-site"}
    assert error(http.send(served, "GET", "/api/me", headers)) == (403, "cross_site")
    assert http.send(served, "GET", "/healthz", headers).status == 200


# Servers of their own


def test_server_without_a_login_lets_everybody_change(serve: Start, web: str) -> None:
    serve()
    assert me(web, {}) == {"name": None, "role": "full", "read_only": False}
    assert post(web, POSTED, {}).status == 404
    assert error(http.send(web, "POST", POSTED, {"Content-Type": "application/json"}, "{}")) == (
        403,
        "cross_site",
    )
    assert error(log_in(web, "anna")) == (404, "no_login")


def test_read_only_side_changes_nothing(serve: Start, web: str, users: Path) -> None:
    serve("--http-read-only")
    assert me(web, {}) == {"name": None, "role": "full", "read_only": True}
    assert error(post(web, POSTED, {})) == (403, "read_only")


def test_read_only_side_has_logins(serve: Start, web: str, users: Path) -> None:
    serve("--http-read-only", "--http-password-file", str(users))
    session = cookie(log_in(web, "anna"))
    assert me(web, session) == {"name": "anna", "role": "full", "read_only": True}
    assert error(post(web, POSTED, session)) == (403, "read_only")
    assert post(web, "/api/logout", session).status == 204


def test_server_with_a_login_listens_everywhere(launch: Start, users: Path) -> None:
    daemon = launch("--http", "0.0.0.0:0", "--http-password-file", str(users))
    wait_until(daemon.ready_line, "the server is ready")
    port = int(daemon.ready_line().partition("http on 0.0.0.0:")[2].partition(",")[0])
    answer = http.send(
        ("127.0.0.1", port), "GET", "/api/me", {**basic("anna"), "Host": "a.example.com"}
    )
    assert answer.status == 200


def test_failed_logins_are_slowed_down(launch: Start, users: Path) -> None:
    daemon = launch("--http", "127.0.0.1:0", "--http-password-file", str(users))
    web = ("127.0.0.1", http_port(daemon))  # type: ignore[arg-type]
    session = cookie(log_in(web, "anna"))
    for _ in range(3):  # two failures each, also of a name that does not exist
        log_in(web, "anna", "wrong")
        http.send(web, "GET", "/api/me", basic("nobody", "wrong"))
    refused = log_in(web, "rita")
    assert error(refused) == (429, "too_many_logins")
    assert 1 <= int(refused.headers["Retry-After"]) <= 300
    assert me(web, session), "sessions go on"
    assert me(web, basic("anna")), "and what was right before"
    assert daemon.client().put() == 1
    assert daemon.errors() == "beanstalkd-py: http: failed logins from 127.0.0.1 are slowed down\n"


def test_loop_goes_on_while_a_password_is_compared(serve: Start, web: str, users: Path) -> None:
    """The comparison would take some seconds."""
    users.write_text(lines(ANNA._replace(n=1 << 16, p=16)))
    daemon = serve("--http-password-file", str(users))
    client = daemon.client()
    body = b'{"name": "anna", "password": "wrong"}'
    with http.connect(web) as connection:
        head = "".join(f"{name}: {value}\r\n" for name, value in JSON.items()).encode()
        connection.sendall(
            b"POST /api/login HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: %d\r\n\r\n%b"
            % (head, len(body), body)
        )
        assert http.get(web, "/healthz").status == 200
        assert client.put() == 1
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        daemon.stop()


@pytest.mark.parametrize(("before", "mib"), [(True, 16), (False, 4)])
def test_lack_of_memory_refuses_a_login(
    serve: Start, web: str, users: Path, before: bool, mib: int
) -> None:
    """scrypt needs 32 MiB for this user. Before the first login, there is no thread."""
    users.write_text(lines(ANNA._replace(n=1 << 15)))
    daemon = serve("--http-password-file", str(users))
    client = daemon.client()
    client.put()
    if before:
        assert error(log_in(web, "anna", "wrong")) == (401, "wrong_password")
    limit = resource.prlimit(daemon.pid, resource.RLIMIT_AS)
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    most = int(status.partition("VmSize:")[2].split()[0]) * 1024 + (mib << 20)
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (most, limit[1]))
    assert error(log_in(web, "anna", "wrong")) == (503, "too_many_logins")
    assert client.stat(b"current-jobs-ready") == b"1"
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, limit)
    assert error(log_in(web, "anna", "wrong")) == (401, "wrong_password")
    assert daemon.errors() == ""


def test_reload_reads_the_passwords_again(
    serve: Start, web: str, users: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(f'http_password_file = "{users}"\n')
    daemon = serve("--config", str(config))
    sessions = [cookie(log_in(web, name)) for name in ("anna", "rita")]

    def reload(text: str) -> None:
        users.write_text(text)
        before = daemon.said().count("reloaded ")
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.said().count("reloaded ") > before, "reloaded")

    reload("anna:full:anna's password\n")
    line = f"{users}:1: expected NAME:ROLE:scrypt$...; beanstalkd-py password add writes it"
    assert f"not reloaded: {line}; the old passwords stay in use\n" in daemon.said()
    assert [http.send(web, "GET", "/api/me", each).status for each in sessions] == [200, 200]
    config.write_text(f'http_password_file = "{users}"\nhttp_read_only = true\n')
    reload(lines(user("anna", "read"), RITA))
    assert [http.send(web, "GET", "/api/me", each).status for each in sessions] == [401, 200]
    assert me(web, basic("anna")) == {"name": "anna", "role": "read", "read_only": True}
    reload(lines(RITA))
    assert http.send(web, "GET", "/api/me", basic("anna")).status == 401


def test_wrong_password_file_is_status_5(launch: Start, users: Path, tmp_path: Path) -> None:
    users.write_text(lines(ANNA, ANNA) + "a b\n")
    config = tmp_path / "config"
    config.write_text(f'http_password_file = "{users}"\n')
    for options in (("--http", "127.0.0.1:0"), ("--check-config",)):
        daemon = launch("--config", str(config), *options)
        assert daemon.wait_end() == 5
        assert daemon.said() == (
            f"beanstalkd-py: {users}:2: the name anna is there twice\n"
            f"beanstalkd-py: {users}:3: expected NAME:ROLE:scrypt$...; beanstalkd-py password add "
            "writes it\n"
        )
