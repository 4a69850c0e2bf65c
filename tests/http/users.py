"""Users of the tests, with cheap hashes, and their requests."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping

from testkit import http

from beanstalkd_py.config.passwords import User

JSON = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
PASSWORDS = {"anna": "anna's password", "rita": "r\u00efta:s.password"}


def user(name: str, role: str, password: str = "", n: int = 1024, p: int = 1) -> User:
    """With a hash that is quick to compare."""
    password = password or PASSWORDS[name]
    hash = hashlib.scrypt(
        password.encode(), salt=b"8 bytes.", n=n, r=8, p=p, maxmem=1 << 28, dklen=32
    )
    return User(name, role, n, 8, p, b"8 bytes.", hash)


ANNA = user("anna", "full")
RITA = user("rita", "read")


def lines(*users: User) -> str:
    return "".join(f"{each.line}\n" for each in users)


def basic(name: str, password: str = "") -> dict[str, str]:
    pair = f"{name}:{password or PASSWORDS[name]}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def post(
    web: http.Address, path: str, headers: Mapping[str, str], value: object = None
) -> http.Answer:
    return http.send(web, "POST", path, {**JSON, **headers}, json.dumps(value or {}))


def log_in(web: http.Address, name: str, password: str = "", **more: str) -> http.Answer:
    value = {"name": name, "password": password or PASSWORDS[name]}
    return post(
        web, "/api/login", {key.replace("_", "-"): each for key, each in more.items()}, value
    )


def cookie(answer: http.Answer) -> dict[str, str]:
    """The header of further requests."""
    return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}


def error(answer: http.Answer) -> tuple[int, str]:
    """Status and code."""
    return answer.status, json.loads(answer.body)["error"]["code"]
