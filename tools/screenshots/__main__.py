"""Pictures of the console for docs/console: `python -m screenshots`, with Debian's chromium and
pngquant. It takes about two minutes.
"""

from __future__ import annotations

import subprocess
import tempfile
import time

from screenshots.demo import Demo
from testkit.browser import Browser, Page, find_chromium
from testkit.daemon import ROOT
from testkit.waiting import wait_until

FOLDER = ROOT / "docs" / "console"
COLOURS = "48"
CHARTS_S = 110  # until the charts show something
ROWS = "main tbody a"
# Name, route, and what must be there before the picture is taken.
PAGES = (
    ("overview", "", ROWS),
    ("tubes", "tubes", ROWS),
    ("tube", "tubes/mail/ready", ROWS),
    ("job", "", "ol.history li:nth-child(4)"),
    ("connections", "connections", ROWS),
    ("log", "log", ".segment"),
)
LOOKS = {"light": (1280, 860), "dark": (1280, 860), "phone": (390, 844)}


def main() -> None:
    program = find_chromium()
    assert program is not None, "no chromium"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        with Demo(directory) as demo, Browser(program) as browser:
            port = http_port(demo)
            shown = [(look, open_page(browser, port, look)) for look in LOOKS]
            time.sleep(CHARTS_S)
            for look, page in shown:
                take_all(page, port, look)


def http_port(demo: Demo) -> int:
    wait_until(demo.daemon.ready_line, "the server is ready")
    return int(demo.daemon.ready_line().partition("http on 127.0.0.1:")[2].partition(",")[0])


def open_page(browser: Browser, port: int, look: str) -> Page:
    page = browser.page(*LOOKS[look], dark=look == "dark")
    page.go(f"http://127.0.0.1:{port}/")
    page.wait("document.querySelector('#pulse.live')")
    return page


def take_all(page: Page, port: int, look: str) -> None:
    for name, route, needed in PAGES:
        if name == "job":
            page.run("location.hash = '#/tubes/mail/buried'")
            page.click("main td.left a")
        else:
            page.run(f"location.hash = '#/{route}'")
        page.wait(f"document.querySelector({needed!r})")
        take(page, f"{name}-{look}")
        if name == "tube":
            page.fill("main input[type=search]", "dora")
            page.wait("document.querySelector('mark')")
            page.click("main .actions button", "Delete all that match")
            page.wait("document.querySelector('dialog')")
            take(page, f"delete-{look}")
            page.press("Escape")
            page.wait("!document.querySelector('dialog')")
    assert page.errors == []


def take(page: Page, name: str) -> None:
    time.sleep(0.5)  # for the fonts and the last sample
    path = FOLDER / f"{name}.png"
    page.screenshot(path)
    options = ("--force", "--speed", "1", "--strip", "--output", f"{path}", COLOURS)
    subprocess.run(["pngquant", *options, f"{path}"], check=True)


if __name__ == "__main__":
    main()
