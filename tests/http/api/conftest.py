"""Fixtures: a server with the API, and a client of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from testkit import http
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.start import Start


class Api:
    """A server, its API, and a client of its protocol."""

    def __init__(self, web: str, daemon: Daemon) -> None:
        self.web = web
        self.daemon = daemon
        self.client: Client = daemon.client()

    def get(self, path: str, status: int = 200) -> Any:
        return self._ask("GET", path, None, status)

    def post(self, path: str, value: object = None, status: int = 200) -> Any:
        return self._ask("POST", path, {} if value is None else value, status)

    def _ask(self, method: str, path: str, value: object, status: int) -> Any:
        found, answer = http.ask(self.web, method, path, value)
        assert found == status, answer
        return answer

    def error(self, method: str, path: str, value: object = None) -> tuple[int, str]:
        """Status and code."""
        status, answer = http.ask(self.web, method, path, value)
        assert answer["error"]["message"].endswith(".")
        return status, answer["error"]["code"]

    def ids(self, path: str) -> list[int]:
        return [job["id"] for job in self.get(path)["jobs"]]

    def put(self, *bodies: bytes, tube: bytes = b"mail", pri: int = 0, delay: int = 0) -> list[int]:
        self.client.ask(b"use %b\r\n" % tube)
        return [self.client.put(body, pri, delay) for body in bodies]

    def state(self, id: int) -> str:
        return self.client.stats(b"stats-job %d" % id).get("state", "gone")


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    """One server without a log for several tests, whose jobs stay."""
    with TemporaryDirectory() as directory:
        web = f"{directory}/http"
        options = ("--http", f"unix:{web}")
        with Daemon(options, at=f"unix:{directory}/socket").start() as daemon:
            yield Api(web, daemon)
            assert daemon.errors() == ""


@pytest.fixture
def serve_api(start: Start, web: str) -> Callable[..., Api]:
    def serve(*options: str, **how: Any) -> Api:
        return Api(web, start("--http", f"unix:{web}", *options, **how))

    return serve


@pytest.fixture
def api(serve_api: Callable[..., Api]) -> Api:
    """A server without a log."""
    return serve_api()
