"""The console in a browser, on a durable server: what a user does, and what he sees of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testkit.browser import Page

from tests.http.console.conftest import Shown

pytestmark = pytest.mark.browser

Show = Callable[..., Shown]

DIALOG = "dialog"
STATES = "nav.states a"
ROWS = "main tbody tr"
MARKUP = (
    b"<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script><b>x</b>"
)


def rows(page: Page, count: int) -> None:
    page.wait(f"document.querySelectorAll({ROWS!r}).length === {count}")


def confirm(page: Page, word: str = "") -> None:
    """Answers the dialog."""
    page.wait(f"document.querySelector({DIALOG!r})")
    if word:
        page.type(word)
    page.click(f"{DIALOG} form .buttons button:last-child")
    page.wait(f"!document.querySelector({DIALOG!r})")


def test_job_is_put_found_and_looked_at(shown: Show) -> None:
    console = shown()
    page = console.page
    page.press("p")
    page.fill("dialog input", "mail")
    page.click("dialog textarea")
    page.type('{"to": "ann", "big": 12345678901234567890}')
    page.wait_text("Valid JSON", DIALOG)
    confirm(page)
    page.wait_text("Job 1 was put into mail.", ".toasts")
    console.put("mail", b"other", b"more")
    page.press("g")
    page.press("t")
    page.click("main td.name a", "mail")
    rows(page, 3)
    page.press("/")
    page.type("ann")
    rows(page, 1)
    assert page.text("mark") == "ann"
    page.click(f"{ROWS} td.left a")
    page.wait_text('"big": 12345678901234567890', "pre")
    page.wait_text("put, priority 1024", "ol.history")
    page.click(".forms button", "Hex")
    page.wait_text("00000000  7b 22 74 6f 22", "pre")


def test_job_goes_through_its_states(shown: Show) -> None:
    console = shown()
    (id,) = console.put("mail", b"body")
    page = console.show(f"jobs/{id}")
    page.expected += ("404 (NOT FOUND)",)  # the tube ends with its last job
    for button, state in (("Bury", "buried"), ("Kick", "ready")):
        page.click(".title .actions button", button)
        page.wait_text(state, "h1 .pill")
        assert console.client.stats(b"stats-job %d" % id)["state"] == state
    page.click(".title .actions button", "Move")
    page.wait("document.querySelector('dialog')")
    page.type("archive")
    confirm(page)
    page.wait_text("archive", "h1 .crumb")
    page.wait_text("moved", "ol.history")
    page.click(".title .actions button", "Delete")
    confirm(page)
    page.wait("location.hash === '#/tubes/archive/ready'")
    assert console.client.ask(b"peek %d\r\n" % id) == b"NOT_FOUND\r\n"


def test_all_that_match_are_deleted_after_their_number_was_typed(shown: Show) -> None:
    console = shown()
    console.put("mail", *(b"old %d" % number for number in range(60)), b"new", b"newer")
    page = console.show("tubes/mail/ready")
    rows(page, 50)
    page.click(".pager button", "Next page")
    rows(page, 12)
    page.fill("main input[type=search]", "old")
    page.wait_text("Delete all that match", "main .actions button")
    rows(page, 50)
    page.click("main .actions button", "Delete all that match")
    page.wait_text("60 ready jobs of the tube mail that match \u201cold\u201d.", DIALOG)
    assert page.run("document.querySelector('dialog button.danger').disabled")
    console.put("mail", b"old, but put after the count")
    confirm(page, "60")
    page.wait_text("60 jobs were deleted.", ".toasts")
    page.fill("main input[type=search]", "")
    rows(page, 3)
    assert console.stat("mail", "current-jobs-ready") == "3"


def test_chosen_jobs_are_moved(shown: Show) -> None:
    console = shown()
    ids = console.put("mail", b"a", b"b", b"c")
    page = console.show("tubes/mail/ready")
    rows(page, 3)
    page.press("j")
    page.press("x")
    page.press("j")
    page.press("x")
    page.click("main .actions button", "Move 2 chosen")
    page.wait("document.querySelector('dialog')")
    page.type("archive")
    confirm(page)
    page.wait_text("2 jobs were moved.", ".toasts")
    rows(page, 1)
    assert console.client.stats(b"stats-job %d" % ids[1])["tube"] == '"archive"'


def test_buried_jobs_are_kicked_together(shown: Show) -> None:
    console = shown()
    console.put("default", b"a", b"b")
    for _ in range(2):
        id = int(console.client.ask(b"reserve\r\n").split()[1])
        console.client.ask(b"bury %d 0\r\n" % id)
    page = console.show("tubes/default/buried")
    page.click("main .actions button", "Kick all 2")
    confirm(page)
    page.wait_text("2 jobs were kicked.", ".toasts")
    page.wait_text("No buried jobs.")
    page.wait_text("ready2", STATES)


def test_tube_is_truncated_after_its_name_was_typed(shown: Show) -> None:
    console = shown()
    console.put("mail", b"a", b"b")
    console.put("mail", b"c", delay=100)
    page = console.show("tubes/mail")
    page.click("main .actions button", "Delete all jobs")
    page.wait_text("3 jobs of the tube mail", DIALOG)
    confirm(page, "mail")
    page.wait_text("3 jobs were deleted.", ".toasts")
    page.wait_text("delayed0", STATES)
    assert console.stat("mail", "current-jobs-ready") == "0"


def test_tube_is_paused_and_resumed(shown: Show) -> None:
    console = shown()
    console.put("mail", b"a")
    page = console.show("tubes/mail")
    page.click("main .actions button", "Pause")
    page.wait("document.querySelector('dialog')")
    page.fill("dialog input", "2 h")
    confirm(page)
    page.wait_text("paused for", "h1 .pill")
    assert console.stat("mail", "pause") == "7200"
    page.click("main .actions button", "Resume")
    page.wait("document.querySelector('h1 .pill').hidden")
    assert console.stat("mail", "pause") == "0"


def test_figures_change_without_a_reload(shown: Show) -> None:
    console = shown()
    console.put("mail", b"a")
    page = console.show("tubes/mail/ready")
    page.run("window.kept = true")
    rows(page, 1)
    console.put("mail", b"b")
    rows(page, 2)
    page.wait_text("ready2", STATES)
    assert page.run("window.kept")


def test_body_with_markup_stays_text(shown: Show) -> None:
    console = shown()
    (id,) = console.put("mail", MARKUP)
    page = console.show("tubes/mail/ready")
    page.wait_text(MARKUP.decode(), "td.grow")
    page = console.show(f"jobs/{id}")
    page.wait_text(MARKUP.decode(), "pre")
    assert page.run("document.querySelectorAll('main img, main script, main b').length") == 0
    assert "run" not in page.run("document.title")


def test_browser_refuses_markup_from_scripts(shown: Show) -> None:
    """The policy of the page, if the console had such a mistake."""
    page = shown().page
    page.expected += ("Trusted",)
    refused = "(() => { try { document.body.innerHTML = '<b>'; } catch { return 'refused'; } })()"
    assert page.run(refused) == "refused"


def test_policy_of_a_tube_is_set(shown: Show) -> None:
    console = shown()
    console.put("mail", b"a")
    page = console.show("tubes/mail")
    page.click("main .actions button", "Policy")
    page.wait("document.querySelector('dialog')")
    page.fill("dialog input", "3")
    confirm(page)
    page.wait_text("The policy of mail was changed.", ".toasts")
    page.wait_text("Policy: after 3 attempts a job is buried.", "main p")
    console.client.ask(b"capabilities\r\n")
    assert console.stat("mail", "max-attempts") == "3"


def test_dead_letter_is_moved_back(shown: Show) -> None:
    console = shown()
    (id,) = console.put("mail", b"a")
    for command in ("set-tube mail max-attempts=1 dead-tube=dead", "watch mail", "reserve"):
        console.client.ask(f"{command}\r\n".encode())
    console.client.ask(b"release %d 0 0\r\n" % id)
    page = console.show(f"jobs/{id}")
    page.wait_text("Dead letter of\nmail\nBecause of\nattempts", "dl")
    page.click(".title .actions button", "Move")
    confirm(page)
    page.wait_text("mail", "h1 .crumb")
    assert console.client.stats(b"stats-job %d" % id)["tube"] == '"mail"'


def test_server_is_drained(shown: Show) -> None:
    console = shown()
    page = console.page
    page.click("main .actions button", "Drain")
    confirm(page)
    page.wait_text("The server is draining: puts are refused.")
    page.click("main .actions button", "End the drain")
    page.wait("document.getElementById('draining').hidden")
    console.put("mail", b"a")


def test_action_that_is_refused_says_why(shown: Show) -> None:
    console = shown()
    (id,) = console.put("default", b"a")
    page = console.show(f"jobs/{id}")
    page.wait_text("ready", "h1 .pill")
    page.expected += ("404 (NOT FOUND)", "409 (CONFLICT)")
    page.click(".title .actions button", "Delete")
    page.wait("document.querySelector('dialog')")
    console.client.ask(b"delete %d\r\n" % id)
    page.click("dialog button.danger")
    page.wait_text(f"There is no job {id}.", "dialog .error")
