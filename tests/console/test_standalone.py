"""The standalone console in a browser: our server and the C server, asked by the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from testkit import http
from testkit.browser import Page
from testkit.daemon import Daemon

from beanstalkd_py.console import cli
from tests.console.conftest import Console, Shown
from tests.http.users import ANNA, cookie, error, lines, log_in, post
from tests.wire.reference import need_c_server

pytestmark = pytest.mark.browser

Show = Callable[..., Shown]

ROWS = "main tbody tr"


def confirm(page: Page, word: str = "") -> None:
    page.wait("document.querySelector('dialog')")
    if word:
        page.type(word)
    page.click("dialog form .buttons button:last-child")
    page.wait("!document.querySelector('dialog')")


def test_c_server_is_shown_and_acted_on(shown: Show) -> None:
    console = shown(need_c_server())
    page = console.page
    page.wait_text("beanstalkd 1.", "header")
    assert page.text("header nav") == "Overview\nTubes"  # its protocol tells no more
    page.press("p")
    page.fill("dialog input", "mail")
    page.click("dialog textarea")
    page.type('{"to": "ann"}')
    confirm(page)
    page.wait_text("Job 1 was put into mail.", ".toasts")
    console.put("mail", b"<b>second</b>")
    page.wait_text("mail", "main td.name")
    page.wait_text("2", f"{ROWS} td:nth-child(2)")  # without a reload
    page = console.show("tubes/mail/ready")
    page.wait_text("This server tells only the first ready job.")
    page.click(f"{ROWS} td.left a")
    page.wait_text('"to": "ann"', "pre")
    for button, state in (("Bury", "buried"), ("Kick", "ready")):
        page.click(".title .actions button", button)
        page.wait_text(state, "h1 .pill")
        assert console.client.stats(b"stats-job 1")["state"] == state
    page = console.show("jobs/2")
    page.wait_text("<b>second</b>", "pre")


def test_c_server_has_all_jobs_of_a_state_deleted(shown: Show) -> None:
    console = shown(need_c_server())
    console.put("mail", *(b"%d" % number for number in range(30)))
    page = console.show("tubes/mail/ready")
    page.expected += ("404 (NOT FOUND)",)  # the tube ends with its last job
    page.click("main .actions button", "Delete all 30")
    confirm(page, "30")
    page.wait_text("30 jobs were deleted.", ".toasts")
    assert console.client.stats()["current-jobs-ready"] == "0"


def test_c_server_has_a_tube_paused(shown: Show) -> None:
    console = shown(need_c_server())
    console.put("mail", b"a")
    page = console.show("tubes/mail")
    page.click("main .actions button", "Pause")
    confirm(page)
    page.wait_text("paused for", "h1 .pill")
    assert console.client.stats(b"stats-tube mail")["pause"] == "600"
    page.click("main .actions button", "Resume")
    page.wait("document.querySelector('h1 .pill').hidden")


def test_read_only_console_changes_nothing(shown: Show) -> None:
    console = shown("", "--read-only")
    (id,) = console.put("mail", b"a")
    page = console.show(f"jobs/{id}")
    page.wait_text("read only", "header")
    page.wait_text("mail", "dl dd")
    assert page.run("document.querySelectorAll('.title button').length") == 0
    page.expected += ("403 (FORBIDDEN)",)
    refused = (
        "fetch('api/drain', {method: 'POST', headers: {'Content-Type': 'application/json'},"
        "body: '{}'}).then((response) => response.status)"
    )
    assert page.run(refused) == 403


def test_our_server_is_shown_with_its_extensions(shown: Show) -> None:
    console = shown("")
    console.put("mail", b"one", b"two", b"three")
    page = console.show("connections")
    page.wait_text("mail", f"{ROWS} td.name")
    page = console.show("tubes/mail/ready")
    page.fill("main input[type=search]", "t")
    page.wait(f"document.querySelectorAll({ROWS!r}).length === 2")
    page.click("main .actions button", "Move all that match")
    page.wait("document.querySelector('dialog')")
    page.type("archive")
    confirm(page)
    page.wait_text("2 jobs were moved.", ".toasts")
    assert console.client.stats(b"stats-tube archive")["current-jobs-ready"] == "2"


def test_server_that_goes_away_is_named_and_waited_for(shown: Show) -> None:
    console = shown("")
    page = console.page
    console.daemon.kill()
    address = f"127.0.0.1:{console.daemon.port}"
    page.wait_text(f"The server at {address} cannot be reached: Connection refused.", "#lost")
    page.expected += ("502 (BAD GATEWAY)",)
    page.call("Page.reload")
    page.wait_text("Connection refused. Trying again", "main")
    console.daemon.launch(["-p", str(console.daemon.port)]).wait_ready()
    page.wait_text("Overview", "h1")
    page.go("about:blank")
    assert console.console.stop() == 0


def test_console_has_logins(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(lines(ANNA))
    options = ("--password-file", str(users), "--read-only")
    with (
        Daemon() as daemon,
        Console("--server", f"127.0.0.1:{daemon.start().port}", *options) as it,
    ):
        web = ("127.0.0.1", it.port)
        assert http.get(web, "/").status == http.get(web, "/healthz").status == 200
        assert http.get(web, "/api/server").status == 401
        session = cookie(log_in(web, "anna"))
        assert http.send(web, "GET", "/api/server", session).status == 200
        assert error(post(web, "/api/jobs", session, {"tube": "a"})) == (403, "read_only")


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--server", "nowhere"], 5),
        (["--http", "127.0.0.1:99999"], 5),
        (["--unknown"], 5),
        (["--http", "192.0.2.1:0"], 111),
        (["--http", "0.0.0.0:0"], 111),
        (["--password-file", "/none"], 5),
        (["--password-file", "/dev/null"], 5),
    ],
)
def test_wrong_command_line_is_refused(
    options: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended = cli.main(["beanstalkd-console", *options])
    except SystemExit as end:
        ended = int(str(end.code))
    assert ended == status
