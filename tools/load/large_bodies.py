"""Large bodies, while another client asks all the time.

A body is in the server's memory once, also while it is received, written to the log, sent to a slow
client and sent to a fast one. What the other client waits for at most is part of the summary; it
depends on the disk.
"""

from __future__ import annotations

import threading
import time
from random import Random

from killtest.fault import Fault
from testkit import proc
from testkit.client import Client
from testkit.daemon import Daemon

from .process_metrics import MIB
from .scale import Scale

COPIES = 1.3  # of the bodies, at most, with what is in the sockets
SLACK_BYTES = 12 * MIB
ASK_INTERVAL_S = 0.001


class Asking:
    """A client that asks all the time. worst_s: its longest wait."""

    def __init__(self, daemon: Daemon) -> None:
        self.worst_s = 0.0
        self._client = daemon.client()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ends.wait(ASK_INTERVAL_S):
            begun = time.monotonic()
            self._client.ask(b"list-tube-used\r\n")
            self.worst_s = max(self.worst_s, time.monotonic() - begun)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._thread.join()
        self._client.close()


def large_bodies(daemon: Daemon, scale: Scale, rng: Random) -> str:
    nbytes = scale.large_body
    body = rng.randbytes(MIB) * (nbytes // MIB)
    before = proc.resident_bytes(daemon.pid)
    with Asking(daemon) as asking, Client(daemon.connect()) as client:
        id = client.put(body)
        _check_peak(daemon, before, nbytes, "a put")
        reply = b"%d %d\r\n%b\r\n" % (id, nbytes, body)
        client.say(b"reserve\r\npeek %d\r\n" % id)
        time.sleep(0.2)  # the server has sent what fits into the sockets, and keeps the rest
        _check_peak(daemon, before, nbytes, "two replies that are not read")
        for word in (b"RESERVED ", b"FOUND "):
            if client.hear_bytes(len(word + reply)) != word + reply:
                raise Fault(f"{word!r} with another body")
        client.ask(b"delete %d\r\n" % id)
    return f"a body of {nbytes // MIB} MiB; another client waited {asking.worst_s * 1000:.0f} ms"


def _check_peak(daemon: Daemon, before: int, nbytes: int, after: str) -> None:
    used = proc.peak_bytes(daemon.pid) - before
    if used > COPIES * nbytes + SLACK_BYTES:
        raise Fault(f"{used // MIB} MiB after {after}, for a body of {nbytes // MIB} MiB")
