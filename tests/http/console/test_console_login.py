"""The console with a login: who is refused, what each role sees, and the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.browser import Page
from testkit.start import Start

from tests.http.conftest import http_port
from tests.http.users import ANNA, PASSWORDS, RITA, lines

pytestmark = pytest.mark.browser

LOGIN = "main form input[type=password]"


@pytest.fixture
def opened(start: Start, page: Page, tmp_path: Path) -> Callable[[str], Page]:
    """A server with users and one job, and its console on this route."""
    users = tmp_path / "users"
    users.write_text(lines(ANNA, RITA))

    def opened(route: str) -> Page:
        daemon = start("--http", "127.0.0.1:0", "--http-password-file", str(users))
        daemon.client().put(b"body")
        page.expected += ("401 (UNAUTHORIZED)",)
        page.go(f"http://127.0.0.1:{http_port(daemon)}/#/{route}")
        page.wait(f"document.querySelector({LOGIN!r})")
        return page

    return opened


def log_in(page: Page, name: str, password: str = "") -> None:
    page.fill("main form input", name)
    page.fill(LOGIN, password or PASSWORDS[name])
    page.press("Enter")


def test_wrong_password_is_refused_and_the_right_one_opens_the_page(
    opened: Callable[[str], Page],
) -> None:
    page = opened("jobs/1")
    assert page.run("document.getElementById('head').hidden")
    log_in(page, "anna", "wrong")
    page.wait_text("The name or the password is wrong.", "form .error")
    log_in(page, "anna")
    page.wait_text("body", "pre")
    page.wait_text("anna", "header")
    page.click(".title .actions button", "Bury")
    page.wait_text("buried", "h1 .pill")
    page.click("#logout")
    page.wait(f"document.querySelector({LOGIN!r})")
    assert page.run("document.cookie") == ""


def test_user_who_may_only_read_has_no_actions(opened: Callable[[str], Page]) -> None:
    page = opened("tubes/default/ready")
    log_in(page, "rita")
    page.wait_text("body", "td.grow")
    page.wait_text("read only", "header")
    buttons = "[...document.querySelectorAll('main button')].filter((e) => e.checkVisibility())"
    assert page.run(f"{buttons}.length") == 0
    assert page.run("document.querySelectorAll('main input[type=checkbox]').length") == 0
    page.press("p")
    assert page.run("document.querySelector('dialog')") is None
    page.expected += ("403 (FORBIDDEN)",)
    refused = (
        "fetch('api/jobs/1/delete', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        "body: '{}'}).then((response) => response.status)"
    )
    assert page.run(refused) == 403


def test_session_that_has_ended_asks_for_a_login(opened: Callable[[str], Page]) -> None:
    """Such as after a restart of the server."""
    page = opened("")
    log_in(page, "anna")
    page.wait("document.querySelector('#pulse.live')")
    page.call("Network.clearBrowserCookies")
    page.run("location.hash = '#/jobs/1'")
    page.wait(f"document.querySelector({LOGIN!r})")
    log_in(page, "anna")
    page.wait_text("body", "pre")
