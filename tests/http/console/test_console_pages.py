"""The pages of the console: on a phone, by keyboard, with a server that goes away."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until

from tests.http.console.conftest import Shown

pytestmark = pytest.mark.browser

Show = Callable[..., Shown]

LONG = "long-name." * 19 + "end"
ROUTES = ("", "tubes", f"tubes/{LONG}", "tubes/none", "jobs/1", "jobs/9", "connections", "log")


@pytest.mark.parametrize("width", [390, 1280])
def test_pages_are_not_wider_than_the_screen(shown: Show, width: int) -> None:
    console = shown()
    console.put(LONG, b"x" * 5000, b'{"a": "' + b"y" * 3000 + b'"}')
    console.client.ask(f"pause-tube {LONG} 100\r\n".encode())
    page = console.page
    page.size(width, 800)
    page.expected += ("404 (NOT FOUND)",)
    for route in ROUTES:
        console.show(route)
        page.wait("document.querySelector('main h1, main .empty p')")
        assert page.run("document.documentElement.scrollWidth") == width, route


def test_keyboard_alone_opens_a_job_and_deletes_it(shown: Show) -> None:
    console = shown()
    (id,) = console.put("mail", b"a")
    page = console.show("tubes")
    page.wait("document.querySelectorAll('main tbody tr').length === 2")
    page.press("j")
    page.press("j")
    page.press("Enter")
    page.wait("location.hash === '#/tubes/mail'")
    page.wait("document.querySelector('td.grow')")
    page.press("j")
    page.press("Enter")
    page.wait(f"location.hash === '#/jobs/{id}'")
    page.wait("document.querySelector('main button.danger')")
    while not page.run("document.activeElement.matches('main button.danger')"):
        page.press("Tab")
    page.press("Enter")
    page.wait("document.activeElement.closest('dialog')")
    while not page.run("document.activeElement.matches('dialog button.danger')"):
        page.press("Tab")
    page.press("Enter")
    page.wait("location.hash === '#/tubes/mail/ready'")
    assert console.client.ask(b"peek %d\r\n" % id) == b"NOT_FOUND\r\n"


def test_connections_are_shown(shown: Show) -> None:
    console = shown()
    console.client.ask(b"use mail\r\n")
    page = console.show("connections")
    page.wait_text("mail", "main tbody tr")
    assert page.run("document.querySelectorAll('main tbody tr').length") == 1  # not the console


def test_segments_are_shown(shown: Show) -> None:
    console = shown()
    console.put("mail", b"a" * 1000)
    page = console.show("log")
    page.wait_text("active", "main tbody tr")
    assert page.run("document.querySelectorAll('.segment').length") == 1


def test_server_that_comes_back_is_shown_again(shown: Show, start: Start, log: str) -> None:
    console = shown()
    page = console.page
    page.expected += ("Failed to load", "ERR_")
    console.daemon.kill()
    page.wait_text("The server does not answer", "#lost")
    again: Daemon = start("-b", log, "--http", f"127.0.0.1:{console.port}")
    page.wait("document.querySelector('#pulse.live') && document.getElementById('lost').hidden")
    again.client().put(b"a")
    page.wait_text("1", ".fact strong")


def test_tubes_beyond_a_sample_are_found(shown: Show) -> None:
    console = shown()
    names = [f"tube-{number:04}" for number in range(1100)]
    console.client.say(b"".join(b"watch %b\r\n" % name.encode() for name in names))
    console.client.hear(len(names))
    page = console.show("tubes")
    page.press("/")
    page.type("1099")
    page.wait_text("1 of 1\u202f101 tubes", ".title")
    page.wait_text("tube-1099", "main td.name")


def test_hidden_page_has_no_stream(shown: Show) -> None:
    console = shown()
    page = console.page
    hide = (
        "Object.defineProperty(document, 'hidden', {{value: {}, configurable: true}});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    open_ = console.daemon.descriptors()
    page.run(hide.format("true"))
    # Idle connections are closed too, after 75 s.
    wait_until(lambda: console.daemon.descriptors() < open_, "the stream is closed", 40)
    console.put("mail", b"a")
    page.run(hide.format("false"))
    page.wait_text("mail", "main tbody tr")


def test_unknown_route_says_so(shown: Show) -> None:
    shown().show("nothing").wait_text("There is no page /nothing.")
