"""A server with jobs as in a real one: tubes in all states, producers and workers at work."""

from __future__ import annotations

import json
import random
import threading
import time
from contextlib import suppress

from testkit.client import Client
from testkit.closing import Closing
from testkit.daemon import Daemon

NAMES = ("ann", "bob", "cem", "dora", "emil", "fatima")
TEMPLATES = ("invoice", "welcome", "reset-password", "receipt")
LONG = "archive." + "2026-11." * 20 + "end"
MARKUP = b"<img src=x onerror=\"alert('no')\"><script>alert('no')</script> <b>plain text</b>"
TURN_S = 0.2


def mail(number: int) -> bytes:
    order = {
        "to": f"{random.choice(NAMES)}@example.org",
        "template": random.choice(TEMPLATES),
        "order": 90000 + number,
        "items": [{"sku": f"A-{number % 40}", "count": 1 + number % 3}, {"sku": "B-7", "count": 2}],
        "urgent": number % 7 == 0,
        "total": round(random.random() * 200, 2),
    }
    return json.dumps(order).encode()


def export(number: int) -> bytes:
    rows = [{"id": each, "name": random.choice(NAMES), "sum": each * 1.5} for each in range(700)]
    return json.dumps({"number": number, "rows": rows}).encode()


class Demo(Closing):
    """directory: of the log."""

    def __init__(self, directory: str) -> None:
        random.seed(5)
        options = ("--http", "127.0.0.1:0", "-s", "1000000", "-f", "50")
        self.daemon = Daemon(options, directory=directory).start()
        self._ended = threading.Event()
        self._client = self.daemon.client()
        self._fill()
        self._threads = [
            *(self._thread(self._produce, tube, rate) for tube, rate in RATES.items()),
            *(self._thread(self._work, tube, rate) for tube, rate in WORKERS),
        ]

    def close(self) -> None:
        self._ended.set()
        self.daemon.close()
        for thread in self._threads:
            thread.join()

    # --- what is there at the beginning

    def _fill(self) -> None:
        put = self._put
        for number in range(4200):
            put("mail", mail(number))
        for number in range(350):
            put("mail", mail(number), delay=600 + 10 * number)
        for number in range(120):
            put("exports", export(number))
        for number in range(240):
            put("thumbnails", b"resize /var/img/%05d.jpg 640x480" % number)
        for number in range(60):
            put("webhooks", b'{"event": "order.paid", "attempt": %d}' % number, delay=number * 9)
        put("reports", b'{"month": "2026-10", "kind": "sales", "note": "Gr\xc3\xbc\xc3\x9fe"}')
        put("search-index", bytes(range(256)))
        put("search-index", MARKUP)
        put(LONG, b"x" * 300)
        self._fail("mail", 9)
        self._fail("thumbnails", 2)
        for _ in range(25):
            self._client.ask(b"delete %d\r\n" % self._reserve("exports"))
        self._client.ask(b"pause-tube reports 900\r\n")
        self._client.ask(b"set-tube mail max-attempts=5 dead-tube=dead.mail\r\n")

    def _put(self, tube: str, body: bytes, delay: int = 0) -> int:
        self._client.ask(f"use {tube}\r\n".encode())
        return self._client.put(body, pri=1024, delay=delay)

    def _reserve(self, tube: str) -> int:
        """Returns the id of the job."""
        self._client.ask(f"watch {tube}\r\n".encode())
        id = int(self._client.ask(b"reserve\r\n").split()[1])
        self._client.ask(f"ignore {tube}\r\n".encode())
        return id

    def _fail(self, tube: str, count: int) -> None:
        """Jobs whose workers give up after some attempts."""
        for _ in range(count):
            for again in range(3):
                id = self._reserve(tube)
                words = (b"release %d 1000 0", b"release %d 900 0", b"bury %d 900")[again]
                self._client.ask(words % id + b"\r\n")

    # --- what goes on

    def _thread(self, run: object, *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=self._until_the_end, args=(run, *arguments))
        thread.start()
        return thread

    def _until_the_end(self, run: object, *arguments: object) -> None:
        with suppress(OSError, AssertionError, IndexError, ValueError):  # the server has ended
            with Client(self.daemon.connect()) as client:
                run(client, *arguments)  # type: ignore[operator]

    def _produce(self, client: Client, tube: str, rate: float) -> None:
        client.ask(f"use {tube}\r\n".encode())
        number = 10_000
        while not self._ended.wait(TURN_S):
            wave = 1 + 0.4 * ((time.monotonic() / 20) % 1)
            for _ in range(max(0, round(random.gauss(rate * wave, rate / 3) * TURN_S))):
                client.put(mail(number), pri=1024)
                number += 1

    def _work(self, client: Client, tube: str, rate: float) -> None:
        client.ask(f"watch {tube}\r\n".encode())
        client.ask(b"ignore default\r\n")
        while True:
            id = client.ask(b"reserve\r\n").split()[1]
            time.sleep(random.random() * 2 / rate)
            client.ask(b"delete %b\r\n" % id)


RATES = {"mail": 40.0, "thumbnails": 12.0, "webhooks": 4.0}
WORKERS = (
    *[("mail", 7.0)] * 6,
    *[("thumbnails", 4.0)] * 4,
    *[("webhooks", 5.0)] * 3,
    ("exports.nightly", 1.0),
)
