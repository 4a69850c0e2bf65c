"""Mutants of who may use the HTTP side: logins, roles, other sites."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_REQUESTS = ("tests/http/test_requests.py",)
_ACCESS = ("tests/http/test_access.py",)
_SESSIONS = ("tests/http/test_sessions.py",)
_PASSWORDS = ("tests/config/test_passwords.py",)


def _mutant(
    name: str, broken: str, module: str, piece: str, replacement: str, caught_by: tuple[str, ...]
) -> Mutant:
    file = f"beanstalkd_py/{module}.py"
    return Mutant(
        Invariant.NO_MORE_THAN_THE_ROLE, name, broken, file, piece, replacement, caught_by
    )


HTTP_ACCESS = (
    _mutant(
        "foreign-host-allowed",
        "a page with a foreign Host is answered on loopback (DNS rebinding)",
        "http/access",
        "        if self._credentials is None and self._loopback:\n",
        "        if self._credentials is not None and self._loopback:\n",
        _REQUESTS,
    ),
    _mutant(
        "http-on-every-address",
        "HTTP listens on other addresses although there is no login",
        "http/listening",
        "    if not has_login and not is_loopback_address(",
        "    if has_login and not is_loopback_address(",
        ("tests/http/test_requests.py -k need_a_login --timeout 20",),
    ),
    _mutant(
        "page-without-access",
        "pages are shown without a login",
        "http/application",
        "        self._access.check(request)\n",
        "",
        _ACCESS,
    ),
    _mutant(
        "read-may-change",
        "the role read may change jobs",
        "http/access",
        "        if unsafe and request.path != LOGOUT and self._may_only_read(user):\n",
        "        if unsafe and request.path != LOGOUT and self.read_only:\n",
        _ACCESS,
    ),
    _mutant(
        "read-only-may-change",
        "jobs are changed although the HTTP side is read-only",
        "http/access",
        "        return self.read_only or (user is not None and user.role != FULL)\n",
        "        return user is not None and user.role != FULL\n",
        _ACCESS,
    ),
    _mutant(
        "odd-methods-are-safe",
        "a method that nobody knows counts as one that changes nothing",
        "http/access",
        "        unsafe = request.method not in SAFE_METHODS\n",
        '        unsafe = request.method in ("POST", "PUT", "DELETE", "PATCH")\n',
        _ACCESS,
    ),
    _mutant(
        "origin-not-compared",
        "a page of another site may change jobs",
        "http/access",
        "        ours = _is_origin_of(origin, headers.get(",
        "        ours = bool(origin) or _is_origin_of(origin, headers.get(",
        _ACCESS,
    ),
    _mutant(
        "site-not-compared",
        "the browser says that another site asks, and it may",
        "http/access",
        '        ours = site == "same-origin"\n',
        '        ours = site != "cross-site"\n',
        _ACCESS,
    ),
    _mutant(
        "request-without-origin-allowed",
        "a request may change jobs without a sign of where it comes from",
        "http/access",
        '        ours = headers.get("Authorization", "").startswith("Bearer ")\n',
        "        ours = True\n",
        _ACCESS,
    ),
    _mutant(
        "other-sites-look",
        "a page of another site may measure what it cannot read",
        "http/access",
        '        if request.headers.get("Sec-Fetch-Site") == "cross-site":\n',
        "        if request.headers is None:\n",
        _ACCESS,
    ),
    _mutant(
        "forms-allowed",
        "the form of another page may change jobs",
        "http/access",
        '    if request.mimetype != "application/json" and (request',
        '    if request.mimetype == "text/html" and (request',
        _ACCESS,
    ),
    _mutant(
        "session-outlives-logout",
        "a session goes on after its logout",
        "http/access",
        "        self._sessions.end(_token(request))\n        response = Response(",
        "        response = Response(",
        _ACCESS,
    ),
    _mutant(
        "stream-outlives-session",
        "a stream of events goes on after the logout of its user",
        "http/access",
        "            if not is_allowed():\n",
        "            if not piece:\n",
        _ACCESS,
    ),
    _mutant(
        "session-outlives-its-user",
        "a session goes on with its old role after a reload",
        "http/sessions",
        "        return session.user if users.get(session.user.name) == session.user else None\n",
        "        return session.user if session.user.name in users else None\n",
        _SESSIONS,
    ),
    _mutant(
        "session-without-end",
        "a session never ends",
        "http/sessions",
        "        if session is None or session.ends_at <= self._now():\n",
        "        if session is None:\n",
        _SESSIONS,
    ),
    _mutant(
        "sessions-without-bound",
        "logins fill the memory",
        "http/sessions",
        "        for digest in own[: max(len(own) - PER_USER + 1, 0)]:\n",
        "        for digest in own[:0]:\n",
        _SESSIONS,
    ),
    _mutant(
        "scripts-read-the-cookie",
        "a script in a page can read the cookie of a session",
        "http/access",
        "httponly=True",
        "httponly=False",
        _ACCESS,
    ),
    _mutant(
        "logins-not-throttled",
        "failed logins are not slowed down",
        "http/credentials",
        "        if wait_s:\n",
        "        if wait_s > 1000:\n",
        _ACCESS,
    ),
    _mutant(
        "tries-at-once-free",
        "tries at the same time do not count until they have failed",
        "http/credentials",
        "        self._throttle.begin(address)\n",
        "",
        _ACCESS,
    ),
    _mutant(
        "throttle-by-address",
        "one host has as many tries as its network has addresses",
        "http/throttle",
        "    return str(ipaddress.ip_network((found, 64), strict=False))\n",
        "    return str(found)\n",
        _SESSIONS,
    ),
    _mutant(
        "throttle-without-bound",
        "failed logins fill the memory",
        "http/throttle",
        "        if len(self._failures) >= ADDRESSES:\n",
        "        if not self._failures and count:\n",
        _SESSIONS,
    ),
    _mutant(
        "old-password-remembered",
        "an old password is right after a reload",
        "http/credentials",
        "        if remembered is not None and self.users.get(name) == remembered:\n",
        "        if remembered is not None:\n",
        _SESSIONS,
    ),
    _mutant(
        "any-password-is-right",
        "a name is enough for a login",
        "http/credentials",
        "        if not self._accepts(user or self._nobody, password) or user is None:\n",
        "        if user is None:\n",
        _SESSIONS,
    ),
    _mutant(
        "password-on-the-loop",
        "commands wait while a password is compared",
        "http/credentials",
        "            result: bool | None = self._threads.apply(_compare, (user, password))\n",
        "            result: bool | None = _compare(user, password)\n",
        ("tests/http/test_access.py -k loop_goes_on --timeout 60",),
    ),
    _mutant(
        "no-memory-for-a-login",
        "a login without memory ends the server",
        "http/credentials",
        "    except (MemoryError, ValueError):\n        return None\n",
        "    except KeyError:\n        return None\n",
        ("tests/http/test_access.py -k lack_of_memory --timeout 60",),
    ),
    _mutant(
        "half-body-looks-whole",
        "a body that is cut because its session ends looks as if it were all of it",
        "http/access",
        '                raise ConnectionResetError(errno.ECONNRESET, "the right to it has ended")',
        "                return",
        ("tests/http/test_access.py -k half_of_a_body",),
    ),
    _mutant(
        "long-login-parsed",
        "anybody can stop the loop for 40 ms by a long body for a login",
        "http/access",
        "    if len(body) > LOGIN_BYTES:",
        "    if False:",
        ("tests/http/test_access.py -k long_login",),
    ),
    _mutant(
        "bad-passwords-taken",
        "a mistake in the password file locks everybody out at a reload",
        "config/passwords",
        "    if mistakes:\n        raise WrongFile(path, mistakes)\n",
        "",
        _ACCESS,
    ),
    _mutant(
        "mistake-shows-the-password",
        "the line about a mistake in the password file shows the line itself",
        "config/passwords",
        '        raise ValueError("expected NAME:ROLE:scrypt$...; beanstalkd-py',
        '        raise ValueError(f"expected NAME:ROLE:scrypt$..., not {line}; beanstalkd-py',
        _PASSWORDS,
    ),
    _mutant(
        "passwords-for-all",
        "everybody on the machine can read the password file",
        "password",
        "    mode, owner, lines = 0o600, None, []\n",
        "    mode, owner, lines = 0o644, None, []\n",
        _PASSWORDS,
    ),
)
