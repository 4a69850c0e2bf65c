"""Fixtures: the standalone console of a server, and a page of a browser that shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit.browser import Page
from testkit.closing import Closing
from testkit.daemon import OURS, ROOT, Daemon
from testkit.waiting import HANG_S, wait_until

READY = re.compile(r"ready: http://127\.0\.0\.1:(\d+)/ shows ")
MODULES = os.pathsep.join(str(ROOT / folder) for folder in ("", "wal", "tools"))


class Console(Closing):
    """`beanstalkd-console` as a process. port: where browsers connect."""

    def __init__(self, *options: str) -> None:
        self._errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "beanstalkd_py.console", "--http", "127.0.0.1:0", *options],
            stdin=subprocess.DEVNULL,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": MODULES},
        )
        wait_until(lambda: READY.search(self.said()) or self.process.poll() is not None, "ready")
        found = READY.search(self.said())
        assert found, self.said()
        self.port = int(found[1])

    def said(self) -> str:
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(HANG_S)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._errors.close()


class Shown:
    """A server, its standalone console, and the page."""

    def __init__(self, daemon: Daemon, console: Console, page: Page) -> None:
        self.daemon = daemon
        self.console = console
        self.client = daemon.client()
        self.page = page
        self.show("")

    def show(self, route: str) -> Page:
        self.page.go(f"http://127.0.0.1:{self.console.port}/#/{route}")
        self.page.wait("document.querySelector('#pulse.live')")
        return self.page

    def put(self, tube: str, *bodies: bytes) -> list[int]:
        self.client.ask(f"use {tube}\r\n".encode())
        return [self.client.put(body, pri=1024) for body in bodies]


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    """Starts a server by its program's path, "" for ours, and its console with these options."""
    opened: list[Closing] = []

    def shown(program: str, *options: str) -> Shown:
        daemon = Daemon(program=(program,) if program else OURS)
        opened.append(daemon)
        daemon.start()
        console = Console("--server", f"127.0.0.1:{daemon.port}", *options)
        opened.append(console)
        return Shown(daemon, console, page)

    yield shown
    page.go("about:blank")  # before its server goes away
    for each in reversed(opened):
        each.close()
