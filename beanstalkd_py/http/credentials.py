"""Names and passwords: compared with the password file, on a thread, so the loop goes on.

scrypt takes 50 to 100 ms on purpose. A scrape sends its password each time, so a password that was
right is remembered: as a hash with a key that only this process has, until the file changes.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping

from gevent.threadpool import ThreadPool

from beanstalkd_py.config.passwords import LONGEST_PASSWORD, User, nobody
from beanstalkd_py.http.refused import Refused
from beanstalkd_py.http.throttle import Throttle

WAITING = 8  # requests whose password is being compared, or waits for that
REMEMBERED = 64


class Credentials:
    """users: by name. now: returns boot time, ns. throttled: see `Throttle`."""

    def __init__(
        self,
        users: Mapping[str, User],
        now: Callable[[], int],
        throttled: Callable[[str], None],
    ) -> None:
        self.users = users
        self._throttle = Throttle(now, throttled)
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, User] = {}
        self._nobody = nobody()
        self._waiting = 0
        self._threads: ThreadPool | None = None

    def user(self, name: str, password: bytes, address: str) -> User | None:
        """None if name or password is wrong. Raises Refused while the address must wait."""
        digest = hmac.digest(self._key, name.encode() + b"\0" + password, hashlib.sha256)
        remembered = self._remembered.get(digest)
        if remembered is not None and self.users.get(name) == remembered:
            return remembered
        wait_s = self._throttle.wait_s(address)
        if wait_s:
            raise _too_many(429, f"Too many failed logins: try again in {wait_s} s.", wait_s)
        if self._waiting >= WAITING:
            raise _too_many(503, "Too many logins at once: try again.", 1)
        self._throttle.begin(address)
        user = self.users.get(name)
        if not self._accepts(user or self._nobody, password) or user is None:
            return None
        self._throttle.succeeded(address)
        if len(self._remembered) >= REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = user
        return user

    def _accepts(self, user: User, password: bytes) -> bool:
        if len(password) > LONGEST_PASSWORD:
            return False
        self._waiting += 1
        try:
            if self._threads is None:
                self._threads = ThreadPool(1)
            result: bool | None = self._threads.apply(_compare, (user, password))
        except (MemoryError, RuntimeError):  # the system gives no thread
            result = None
        finally:
            self._waiting -= 1
        if result is None:
            raise _too_many(
                503, "The server has no memory or no thread for a login: try again.", 10
            )
        return result


def _compare(user: User, password: bytes) -> bool | None:
    """None if there is no memory. (The costs of scrypt are right: `passwords` has checked them.)

    No error may leave the thread: gevent passes it to the hub, where it ends the server.
    """
    try:
        return user.accepts(password)
    except (MemoryError, ValueError):
        return None


def _too_many(status: int, message: str, wait_s: int) -> Refused:
    return Refused(status, "too_many_logins", message, {"Retry-After": str(wait_s)})
