"""Fixtures: a server, and a page of a browser that shows its console."""

from __future__ import annotations

from typing import Any

import pytest
from testkit.browser import Page
from testkit.daemon import Daemon
from testkit.start import Start

from tests.http.conftest import http_port


class Shown:
    """A server, and the page that shows it."""

    def __init__(self, daemon: Daemon, page: Page) -> None:
        self.daemon = daemon
        self.page = page
        self.client = daemon.client()
        self.port = http_port(daemon)
        self.show("")

    def show(self, route: str) -> Page:
        """route: what is behind the # in the address."""
        self.page.go(f"http://127.0.0.1:{self.port}/#/{route}")
        self.page.wait("document.querySelector('#pulse.live')")
        return self.page

    def put(self, tube: str, *bodies: bytes, delay: int = 0) -> list[int]:
        self.client.ask(f"use {tube}\r\n".encode())
        return [self.client.put(body, pri=1024, delay=delay) for body in bodies]

    def stat(self, tube: str, key: str) -> str:
        return self.client.stats(f"stats-tube {tube}".encode())[key]


@pytest.fixture
def shown(start: Start, page: Page, log: str) -> Any:
    """Starts a durable server, and shows its console."""

    def shown(*options: str) -> Shown:
        return Shown(start("-b", log, "--http", "127.0.0.1:0", *options), page)

    return shown
