"""The file of --http-password-file: who may use the HTTP side, one user per line.

    NAME:ROLE:scrypt$N$R$P$SALT$HASH

ROLE is `read` or `full`. N, R and P are the costs of scrypt, SALT and HASH are in base64.
Empty lines and lines that begin with # are ignored. `beanstalkd-py password` writes a line.

N = 2**14 takes 16 MiB and 50 to 100 ms. The costs are limited: each login with higher costs would
take much memory, and hold up all other logins.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterator
from typing import NamedTuple

from beanstalkd_py.config.file import Mistake, WrongFile, contents

READ, FULL = ROLES = ("read", "full")
NAME = re.compile("[A-Za-z0-9_-]{1,64}", re.ASCII)  # no dot: it ends the name in NAME.PASSWORD
LONGEST_PASSWORD = 1024  # bytes
MOST_USERS = 1000
_N, _R, _P = 1 << 14, 8, 1
_MOST_MEMORY = 64 << 20
_HASH_BYTES = 32
_LINE = re.compile(
    r"([^:]*):([^:]*):scrypt\$([0-9]{1,8})\$([0-9]{1,2})\$([0-9]{1,2})\$([^$]+)\$([^$]+)", re.ASCII
)


class User(NamedTuple):
    """n, r, p: the costs of scrypt."""

    name: str
    role: str
    n: int
    r: int
    p: int
    salt: bytes
    hash: bytes

    def accepts(self, password: bytes) -> bool:
        """Takes 50 to 100 ms without the GIL."""
        found = _hash(password, self.salt, self.n, self.r, self.p, len(self.hash))
        return hmac.compare_digest(found, self.hash)

    @property
    def line(self) -> str:
        salt, hash = (base64.b64encode(each).decode() for each in (self.salt, self.hash))
        return f"{self.name}:{self.role}:scrypt${self.n}${self.r}${self.p}${salt}${hash}"


def new_user(name: str, role: str, password: bytes) -> User:
    salt = secrets.token_bytes(16)
    hash = _hash(password, salt, _N, _R, _P, _HASH_BYTES)
    return User(name, role, _N, _R, _P, salt, hash)


def nobody() -> User:
    """Accepts no password. It stands in for an unknown name, so that a refusal takes as long."""
    return User("", READ, _N, _R, _P, secrets.token_bytes(16), secrets.token_bytes(_HASH_BYTES))


def _hash(password: bytes, salt: bytes, n: int, r: int, p: int, nbytes: int) -> bytes:
    most = 2 * _MOST_MEMORY
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=most, dklen=nbytes)


def read(path: str) -> dict[str, User]:
    """The users by name. Raises WrongFile."""
    users: dict[str, User] = {}
    mistakes = []
    for number, line in _lines(contents(path)):
        try:
            user = parse(line)
        except ValueError as error:
            mistakes.append(Mistake(number, str(error)))
            continue
        if user.name in users:
            mistakes.append(Mistake(number, f"the name {user.name} is there twice"))
        users[user.name] = user
    if not users and not mistakes:
        mistakes.append(Mistake(None, "no user: beanstalkd-py password add NAME writes a line"))
    if len(users) > MOST_USERS:
        mistakes.append(Mistake(None, f"more than {MOST_USERS} users"))
    if mistakes:
        raise WrongFile(path, mistakes)
    return users


def _lines(data: bytes) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(data.decode("ascii", "replace").split("\n"), 1):
        line = line.strip(" \t\r")
        if line and not line.startswith("#"):
            yield number, line


def parse(line: str) -> User:
    """Raises ValueError. Its text does not show the line, which may be a plain password."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError("expected NAME:ROLE:scrypt$...; beanstalkd-py password add writes it")
    name, role, salt, hash = match[1], match[2], _decoded(match[6]), _decoded(match[7])
    n, r, p = int(match[3]), int(match[4]), int(match[5])
    if not NAME.fullmatch(name):
        raise ValueError("a name has 1 to 64 letters, digits, - and _")
    if role not in ROLES:
        raise ValueError(f"the role must be {READ} or {FULL}")
    if n < 1 << 10 or n & (n - 1) or not r or not 1 <= p <= 16 or 128 * n * r > _MOST_MEMORY:
        raise ValueError("the costs of scrypt are too low or too high")
    if not 8 <= len(salt) <= 64 or not 16 <= len(hash) <= 64:
        raise ValueError("salt or hash is too short or too long")
    return User(name, role, n, r, p, salt, hash)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("salt or hash is not base64") from None
