"""Access control: checked for each request, before its page.

Without a password file everybody has the role `full`, so the HTTP side listens on a loopback
address or a unix socket only. A page in a browser on this machine can have a host name that
resolves to 127.0.0.1 (DNS rebinding), so there the Host must be a loopback name.

With a password file, a request needs a session (a cookie, for people) or an Authorization header
(Basic, or Bearer with NAME.PASSWORD, for programs). Probes and the files of the console are open.

Pages of other sites are refused. A request that may change something must come from a page of the
console or from a program. A browser says where a request comes from, in Sec-Fetch-Site or Origin.
The body must also be JSON: a form of another page cannot send that.
"""

import base64
import errno
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from werkzeug.wrappers import Request, Response

from beanstalkd_py.config.passwords import FULL, NAME, User
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.http.credentials import Credentials
from beanstalkd_py.http.hosts import is_loopback_name
from beanstalkd_py.http.refused import Refused
from beanstalkd_py.http.sessions import SESSION_S, Sessions

Page = Callable[[Request], Response]

COOKIE = "beanstalkd_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PROBES = ("/healthz", "/readyz")
LOGIN, LOGOUT, ME = "/api/login", "/api/logout", "/api/me"
CONSOLE = "/console/"
LOGIN_BYTES = 16 << 10  # of a body: the longest password has less
CHALLENGE = 'Bearer realm="beanstalkd"'  # for Basic a browser would show a dialog of its own


class Access:
    """users: None without a login. loopback: without a login, the Host must be a loopback name.
    read_only: nobody may change anything. report: called with a line for the operator. now: returns
    boot time, ns.
    """

    def __init__(
        self,
        users: Mapping[str, User] | None,
        loopback: bool,
        read_only: bool,
        report: Report,
        now: Callable[[], int] = boot_ns,
    ) -> None:
        self.read_only = read_only
        self._report = report
        self._loopback = loopback
        self._credentials = None if users is None else Credentials(users, now, self._throttled)
        self._sessions = Sessions(now)
        self._pages: dict[tuple[str, str], Page] = {
            ("GET", ME): self._me,
            ("HEAD", ME): self._me,
            ("POST", LOGIN): self._login,
            ("POST", LOGOUT): self._logout,
        }

    def set_users(self, users: Mapping[str, User]) -> None:
        """Sessions of users that are gone or changed end."""
        assert self._credentials is not None
        self._credentials.users = users

    def page(self, request: Request) -> Page | None:
        """The page of this request, if it is about logins."""
        return self._pages.get((request.method, request.path))

    def check(self, request: Request) -> None:
        """Raises Refused."""
        if self._credentials is None and self._loopback:
            if not is_loopback_name(request.headers.get("Host", "")):
                raise Refused(
                    403, "host", "The Host header must be a loopback name, such as localhost."
                )
        if request.path in PROBES:
            return
        unsafe = request.method not in SAFE_METHODS
        if unsafe:
            _check_source(request)
        if _is_open(request.path):
            return
        if request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise _cross_site()
        user = self._user(request)
        if unsafe and request.path != LOGOUT and self._may_only_read(user):
            why = "the server is read-only" if self.read_only else "your role is read"
            raise Refused(403, "read_only", f"Nothing was changed: {why}.")

    def while_allowed(self, request: Request, response: Response) -> Response:
        """A streamed response ends when its session or its user does."""
        credentials = self._credentials
        if credentials is not None and response.is_streamed and not _is_open(request.path):
            user = self._user(request)

            def is_allowed() -> bool:
                if "Authorization" not in request.headers:
                    return self._sessions.user(_token(request), credentials.users) == user
                return user is not None and credentials.users.get(user.name) == user

            response.response = _while(is_allowed, response.response)
        return response

    def _may_only_read(self, user: User | None) -> bool:
        return self.read_only or (user is not None and user.role != FULL)

    # --- the user of a request

    def _user(self, request: Request) -> User | None:
        """None without a login. Raises Refused."""
        credentials = self._credentials
        if credentials is None:
            return None
        if "Authorization" in request.headers:
            name, password = _authorization(request.headers["Authorization"])
            user = credentials.user(name, password, request.remote_addr or "")
            if user is None:
                raise _wrong()
            return user
        user = self._sessions.user(_token(request), credentials.users)
        if user is None:
            raise Refused(401, "login", "A login is needed.", {"WWW-Authenticate": CHALLENGE})
        return user

    def _throttled(self, address: str) -> None:
        self._report(
            f"http: failed logins from {address or 'the unix socket'} are slowed down",
            event="login_throttled",
            address=address,
        )

    # --- pages

    def _me(self, request: Request) -> Response:
        return self._shown(self._user(request))

    def _shown(self, user: User | None) -> Response:
        return _json(
            {
                "name": None if user is None else user.name,
                "role": FULL if user is None else user.role,
                "read_only": self._may_only_read(user),
            }
        )

    def _login(self, request: Request) -> Response:
        credentials = self._credentials
        if credentials is None:
            raise Refused(404, "no_login", "This server has no login.")
        name, password = _name_and_password(request.get_data())
        user = credentials.user(name, password, request.remote_addr or "")
        if user is None:
            raise _wrong()
        self._sessions.end(_token(request))
        response = self._shown(user)
        _set_cookie(response, request, self._sessions.begin(user), SESSION_S)
        return response

    def _logout(self, request: Request) -> Response:
        self._sessions.end(_token(request))
        response = Response(status=204)
        _set_cookie(response, request, "", 0)
        return response


def _is_open(path: str) -> bool:
    """Whether no login is needed. The files of the console show nothing of this server."""
    return path in ("/", LOGIN) or path.startswith(CONSOLE)


def _while(is_allowed: Callable[[], bool], pieces: Any) -> Iterator[bytes]:
    try:
        for piece in pieces:
            if not is_allowed():
                # As if the client were gone: without an end, half of a body does not look whole.
                raise ConnectionResetError(errno.ECONNRESET, "the right to it has ended")
            yield piece
    finally:
        if hasattr(pieces, "close"):
            pieces.close()


def _check_source(request: Request) -> None:
    """Of a request that may change something. Raises Refused."""
    headers = request.headers
    site = headers.get("Sec-Fetch-Site")
    origin = headers.get("Origin")
    if site is not None:
        ours = site == "same-origin"
    elif origin is not None:
        ours = _is_origin_of(origin, headers.get("Host", ""))
    else:  # a program; a browser adds no Bearer by itself
        ours = headers.get("Authorization", "").startswith("Bearer ")
    if not ours:
        raise _cross_site()
    if request.mimetype != "application/json" and (request.mimetype or request.content_length):
        raise Refused(415, "not_json", "The Content-Type must be application/json.")


def _is_origin_of(origin: str, host: str) -> bool:
    scheme, _, name = origin.partition("://")
    return scheme in ("http", "https") and name != "" and name.lower() == host.lower()


def _authorization(value: str) -> tuple[str, bytes]:
    """Name and password. Raises Refused."""
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "basic":
        try:
            pair = base64.b64decode(rest.strip(), validate=True)
        except ValueError:
            raise _wrong() from None
        name, _, password = pair.partition(b":")
    elif scheme.lower() == "bearer":
        name, _, password = rest.strip().encode("latin-1", "replace").partition(b".")
    else:
        raise _wrong()
    return _name(name.decode("ascii", "replace")), password


def _name_and_password(body: bytes) -> tuple[str, bytes]:
    """Of the body of a login. Raises Refused."""
    if len(body) > LOGIN_BYTES:  # anybody can send it, and to parse it takes time
        raise Refused(413, "too_large", f"A login has at most {LOGIN_BYTES} bytes.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise _bad_login()
    name, password = value.get("name"), value.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise _bad_login()
    return _name(name), password.encode("utf-8", "surrogatepass")


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise _wrong()
    return name


def _cross_site() -> Refused:
    return Refused(
        403,
        "cross_site",
        "The request may come from a page of another site. It needs Sec-Fetch-Site: same-origin, "
        "an Origin that matches the Host, or Authorization: Bearer.",
    )


def _wrong() -> Refused:
    return Refused(
        401, "wrong_password", "The name or the password is wrong.", {"WWW-Authenticate": CHALLENGE}
    )


def _bad_login() -> Refused:
    return Refused(400, "bad_login", 'The body must be {"name": ..., "password": ...}.')


def _cookie(request: Request) -> str:
    """Its name. Browsers do not keep the cookies of two ports of a host apart."""
    port = request.headers.get("Host", "").rpartition(":")[2]
    return f"{COOKIE}_{port}" if port.isascii() and port.isdecimal() else COOKIE


def _token(request: Request) -> str:
    return request.cookies.get(_cookie(request), "")


def _set_cookie(response: Response, request: Request, token: str, seconds: int) -> None:
    """Over TLS, which a proxy does, the browser sends it over TLS only."""
    response.set_cookie(
        _cookie(request), token, max_age=seconds, httponly=True, samesite="Strict",
        secure=request.headers.get("Origin", "").startswith("https://"),
    )  # fmt: skip


def _json(value: Any) -> Response:
    return Response(json.dumps(value), mimetype="application/json")
