"""Fixtures for all tests: servers as processes, directories for their logs, and a browser."""

from __future__ import annotations

import gc
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from testkit.browser import Browser, Page, find_chromium
from testkit.daemon import Daemon
from testkit.start import Start

# Counts of examples bound the work of hypothesis. Time does not: a machine may be slow.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """The collected tests stay until the end. So no garbage collection has to walk them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def compiler() -> None:
    """Needs a C compiler: libraries are preloaded into servers."""
    if shutil.which("cc") is None:
        missing = "no C compiler (cc)"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        missing = "no chromium (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    with Browser(program) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty one. The browser must have nothing to complain about at its end."""
    page = browser.page()
    yield page
    page.close()
    assert page.errors == []


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Start]:
    """Starts daemons on a unix socket, or `at` an address; they end with the test. It does not wait
    for them.
    """
    daemons: list[Daemon] = []

    def launch(*options: str, **how: Any) -> Daemon:
        daemon = Daemon(options, **{"at": f"unix:{tmp_path}/socket", **how})
        daemons.append(daemon)
        return daemon.launch()

    yield launch
    for daemon in daemons:
        print(daemon.ending())  # pytest shows this if the test failed
        daemon.close()


@pytest.fixture
def start(launch: Start) -> Start:
    """The same, but returns when the daemon answers."""
    return lambda *options, **how: launch(*options, **how).wait_ready()


@pytest.fixture
def log(tmp_path: Path) -> str:
    """A directory for -b."""
    directory = tmp_path / "log"
    directory.mkdir()
    return str(directory)


@pytest.fixture
def nobodys() -> Iterator[str]:
    """Another one, which belongs to the user nobody, and stands where that user can come."""
    with TemporaryDirectory(prefix="nobodys.") as directory:
        os.chown(directory, pwd.getpwnam("nobody").pw_uid, -1)
        yield directory
