"""Debian's Chromium without a window, driven by the DevTools protocol over a pair of pipes.

Messages are JSON, each ended by a zero byte; Chromium reads them from descriptor 3 and writes to
descriptor 4. A `Page` is one tab with a profile of its own, so that cookies are not shared.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from .closing import Closing
from .waiting import HANG_S

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--lang=en-US",
)
WAIT_S = 60.0  # for a state of a page; only ends a hang
POLL_S = 0.02
_KEYS = {
    "Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, ""), "Space": (32, " "),
    "ArrowDown": (40, ""), "ArrowUp": (38, ""), "Backspace": (8, ""),
}  # fmt: skip

Json = dict[str, Any]


def find_chromium() -> str | None:
    return shutil.which("chromium")


class PageError(AssertionError):
    """A script of the page, or one that a test runs in it, has failed."""


class Browser(Closing):
    """One Chromium. program: its path."""

    def __init__(self, program: str) -> None:
        # Children of the killed process may still write to it.
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._log = tempfile.TemporaryFile()
        ours, theirs = _pipe(), _pipe()

        def descriptors() -> None:
            os.dup2(ours[0], 3)
            os.dup2(theirs[1], 4)

        self._process = subprocess.Popen(
            [program, *_ARGUMENTS, f"--user-data-dir={self._profile.name}"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(3, 4),
            preexec_fn=descriptors,
            env={**os.environ, "TZ": "UTC"},
        )
        os.close(ours[0])
        os.close(theirs[1])
        self._write, self._read = ours[1], theirs[0]
        self._buffer = b""
        self._last = 0
        self._pages: dict[str, Page] = {}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        self._log.close()
        self._profile.cleanup()

    def page(self, width: int = 1280, height: int = 800, dark: bool = False) -> Page:
        """A new tab, with cookies of its own."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call(
            "Target.createTarget", url="about:blank", browserContextId=context, width=width,
            height=height,
        )["targetId"]  # fmt: skip
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        page = Page(self, attached["sessionId"], context)
        self._pages[attached["sessionId"]] = page
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(f"{domain}.enable")
        page.size(width, height)
        page.scheme("dark" if dark else "light")
        return page

    def call(self, method: str, session: str = "", **parameters: Any) -> Json:
        self._last += 1
        id = self._last
        message: Json = {"id": id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == id:
                if "error" in heard:
                    raise PageError(f"{method}: {heard['error']}")
                result: Json = heard["result"]
                return result
            self._event(heard)

    def _event(self, heard: Json) -> None:
        page = self._pages.get(heard.get("sessionId", ""))
        if page is not None and "method" in heard:
            page.event(heard["method"], heard["params"])

    def _hear(self) -> Json:
        while b"\0" not in self._buffer:
            if not select.select([self._read], [], [], HANG_S)[0]:
                raise TimeoutError("Chromium does not answer")
            data = os.read(self._read, 1 << 20)
            if not data:
                self._log.seek(0)
                raise PageError(f"Chromium has ended: {self._log.read()[-2000:].decode()}")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        heard: Json = json.loads(message)
        return heard


class Page:
    """errors: exceptions of scripts, violations of the policy, other errors in Chromium's log."""

    def __init__(self, browser: Browser, session: str, context: str) -> None:
        self.errors: list[str] = []
        self.expected: tuple[str, ...] = ()  # errors that belong to a test
        self._browser = browser
        self._session = session
        self._context = context

    def call(self, method: str, **parameters: Any) -> Json:
        return self._browser.call(method, self._session, **parameters)

    def close(self) -> None:
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)

    def event(self, method: str, parameters: Json) -> None:
        text = ""
        if method == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            text = details.get("exception", {}).get("description", details["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            entry = parameters["entry"]
            text = f"{entry['text']} {entry.get('url', '')}"
        elif method == "Runtime.consoleAPICalled" and parameters["type"] == "error":
            text = " ".join(str(each.get("value", each)) for each in parameters["args"])
        if text and not any(each in text for each in self.expected):
            self.errors.append(text)

    # --- what it shows

    def size(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
            mobile=width < 600,
        )  # fmt: skip

    def scheme(self, scheme: str) -> None:
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.call("Emulation.setEmulatedMedia", features=features)

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)

    def run(self, script: str) -> Any:
        """The value of an expression, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True,
            userGesture=True,
        )  # fmt: skip
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def wait(self, script: str) -> Any:
        """Until the expression is true. Its value."""
        give_up_at = time.monotonic() + WAIT_S
        while (value := self._try(script)) in (None, False, 0, ""):
            if time.monotonic() > give_up_at:
                raise PageError(f"not so: {script}\n{self.text()}\n{self.errors}")
            time.sleep(POLL_S)
        return value

    def _try(self, script: str) -> Any:
        try:
            return self.run(script)
        except PageError as error:
            # The page is being replaced by the next one.
            if "context" in str(error) or "Cannot read properties of null" in str(error):
                return None
            raise

    def text(self, selector: str = "body") -> str:
        """What a reader sees of the first element; "" if there is none."""
        found = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        assert isinstance(found, str)
        return found

    def wait_text(self, text: str, selector: str = "body") -> None:
        """Until a reader sees the text in one of the elements."""
        self.wait(
            f"[...document.querySelectorAll({json.dumps(selector)})]"
            f".some(e => e.innerText.includes({json.dumps(text)}))"
        )

    def wait_no_text(self, text: str, selector: str = "body") -> None:
        self.wait(
            f"![...document.querySelectorAll({json.dumps(selector)})]"
            f".some(e => e.innerText.includes({json.dumps(text)}))"
        )

    # --- what a user does

    def click(self, selector: str, text: str = "") -> None:
        """With the mouse, on the first such element that can be seen, and has the text."""
        script = (
            f"(() => {{ const e = [...document.querySelectorAll({json.dumps(selector)})].find(e =>"
            f" e.checkVisibility() && !e.disabled && e.innerText.includes({json.dumps(text)}));"
            " if (!e) return null; e.scrollIntoView({block: 'center'});"
            " const r = e.getBoundingClientRect();"
            " const x = r.x + r.width / 2, y = r.y + r.height / 2;"
            " const top = document.elementFromPoint(x, y);"
            " return top && (e.contains(top) || top.contains(e)) ? [x, y] : null; })()"
        )
        x, y = self.wait(script)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Into what has the focus."""
        self.call("Input.insertText", text=text)

    def fill(self, selector: str, text: str) -> None:
        """Replaces the text of a field, as a user who selects all and types."""
        self.click(selector)
        self.run("document.activeElement.select()")
        self.type(text) if text else self.press("Backspace")

    def press(self, key: str) -> None:
        code, text = _KEYS.get(key, (ord(key[0].upper()), key))
        name = " " if key == "Space" else key
        how: Json = {"key": name, "windowsVirtualKeyCode": code, "text": text}
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **how)
        self.call("Input.dispatchKeyEvent", type="keyUp", **{**how, "text": ""})

    def screenshot(self, path: str | Path, whole: bool = False) -> None:
        how: Json = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            how["clip"] = {**size, "x": 0, "y": 0, "scale": 1}
        data = self.call("Page.captureScreenshot", **how)["data"]
        Path(path).write_bytes(base64.b64decode(data))


def _pipe() -> tuple[int, int]:
    """Two descriptors that are neither 3 nor 4."""
    low = os.pipe()
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10) for descriptor in low]
    for descriptor in low:
        os.close(descriptor)
    return high[0], high[1]
