"""Sessions of users that logged in: each has a random token, which a browser keeps in a cookie.

The server keeps only a hash of each token, in memory: a restart ends all sessions. A session ends
SESSION_S after its login, at a logout, and when its user is changed in the password file.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import NamedTuple

from beanstalkd_py.config.passwords import User

SESSION_S = 12 * 60 * 60
PER_USER = 16  # one more takes the place of the oldest
_NS = 1_000_000_000


class Session(NamedTuple):
    user: User
    ends_at: int  # boot time, ns


class Sessions:
    """now: returns boot time, ns."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._sessions: dict[bytes, Session] = {}  # by the hash of the token; the oldest first

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, user: User) -> str:
        """Returns the token."""
        self._drop_old()
        own = [each for each, session in self._sessions.items() if session.user.name == user.name]
        for digest in own[: max(len(own) - PER_USER + 1, 0)]:
            del self._sessions[digest]
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = Session(user, self._now() + SESSION_S * _NS)
        return token

    def user(self, token: str, users: Mapping[str, User]) -> User | None:
        """Whose session it is; None if it has ended."""
        session = self._sessions.get(_digest(token))
        if session is None or session.ends_at <= self._now():
            return None
        return session.user if users.get(session.user.name) == session.user else None

    def end(self, token: str) -> None:
        self._sessions.pop(_digest(token), None)

    def _drop_old(self) -> None:
        now = self._now()
        self._sessions = {
            digest: session for digest, session in self._sessions.items() if session.ends_at > now
        }


def _digest(token: str) -> bytes:
    """The time that a lookup of the digest takes says nothing about the token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
