"""python -m bench.web: what HTTP clients cost the server and its clients, kind by kind.

For each kind of HTTP clients, one client of the queue puts jobs, one after the other. The table
has the share of one core that the server takes for the HTTP clients alone, and the latency of puts
while they are there. The server is in memory and has 1000 tubes.

The share is measured without puts: CPU time of the server by time on the clock. Other programs on
the machine change it little, but they do change the latency.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import NamedTuple

from testkit import http
from testkit.daemon import Daemon
from testkit.waiting import HANG_S

TUBES = 1000
SETTLE_S = 1.0
TICK_S = 0.02
HEAD = b"GET %b HTTP/1.1\r\nHost: localhost\r\n"
_BODY = b'{"name": "anna", "password": "wrong"}'
_POST = (
    b"POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Sec-Fetch-Site: same-origin\r\nContent-Length: %d\r\n\r\n"
)


class Kind(NamedTuple):
    """clients: how many; a closed one connects again. first: what each sends at first. again: what
    it sends after that, every `every_s`. reads: the most bytes that it receives at once.
    """

    name: str
    clients: int
    first: bytes = b""
    again: bytes = b""
    every_s: float = 0.1
    reads: int = 1 << 24


KINDS = (
    Kind("none", 0),
    Kind("a scrape each second", 1, again=HEAD % b"/metrics" + b"\r\n", every_s=1),
    Kind("10 event streams", 10, HEAD % b"/api/events" + b"\r\n"),
    Kind("1000 idle connections", 1000),
    Kind("1000 heads, byte by byte", 1000, HEAD % b"/healthz", b"a", 0.05),
    Kind("200 bodies without end", 200, _POST % (1 << 20), b"x" * 100, 0.005),
    Kind("64 that do not read", 64, HEAD % b"/metrics" + b"\r\n", reads=1),
    Kind("64 that pipeline", 64, again=5 * (HEAD % b"/healthz" + b"\r\n"), every_s=0.001),
    Kind("16 wrong logins", 16, again=_POST % len(_BODY) + _BODY, every_s=0.01),
)


def send(kind: Kind, web: str) -> None:
    """In a process of its own, until it is killed."""
    clients: list[socket.socket] = []
    next_at = 0.0
    while True:
        with suppress(OSError):  # the kernel's queue of connections is full
            while len(clients) < kind.clients:
                clients.append(http.connect(web))
                clients[-1].setblocking(False)
                clients[-1].send(kind.first)
        time.sleep(min(kind.every_s, TICK_S))
        sends = kind.again != b"" and time.monotonic() >= next_at
        next_at = time.monotonic() + kind.every_s if sends else next_at
        for client in list(clients):
            try:
                _read(client, kind.reads)
                if sends:
                    client.send(kind.again)
            except BlockingIOError:
                pass
            except OSError:
                client.close()
                clients.remove(client)


def _read(client: socket.socket, nbytes: int) -> None:
    with suppress(BlockingIOError):
        if not client.recv(nbytes):
            raise ConnectionResetError


class Measured(NamedTuple):
    """Latencies in us."""

    share: float
    median_us: float
    p99_us: float


def measure(kind: Kind, daemon: Daemon, web: str, seconds: float) -> Measured:
    process = multiprocessing.get_context("fork").Process(target=send, args=(kind, web))
    process.start()
    try:
        time.sleep(min(SETTLE_S, seconds))
        before, begin = daemon.cpu_s(), time.monotonic()
        time.sleep(seconds)
        share = (daemon.cpu_s() - before) / (time.monotonic() - begin)
        times = sorted(_puts(daemon, seconds))
    finally:
        process.kill()
        process.join()
    return Measured(share, median(times) / 1e3, times[len(times) * 99 // 100] / 1e3)


def _puts(daemon: Daemon, seconds: float) -> list[int]:
    times: list[int] = []
    end = time.monotonic() + seconds
    with daemon.connect() as client:
        client.settimeout(HANG_S)
        while not times or time.monotonic() < end:
            begin = time.monotonic_ns()
            client.sendall(b"put 0 0 60 5\r\nhello\r\n")
            client.recv(100)
            times.append(time.monotonic_ns() - begin)
    return times


def run(kinds: tuple[Kind, ...], seconds: float, say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="web.") as directory:
        web = f"{directory}/http"
        with Daemon(["--http", f"unix:{web}"], f"unix:{directory}/socket").start() as daemon:
            client = daemon.client()
            for number in range(TUBES):
                client.ask(b"watch tube-%d\r\n" % number)
                client.ask(b"put-in-tube tube-%d 0 0 60 1\r\nx\r\n" % number)
                client.ask(b"reserve\r\n")
            say("| HTTP clients | share of a core | median put | p99 |\n|---|---|---|---|\n")
            for kind in kinds:
                share, median_us, p99_us = measure(kind, daemon, web, seconds)
                say(f"| {kind.name} | {share:.1%} | {median_us:.0f} us | {p99_us:.0f} us |\n")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="bench.web", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    chosen = parser.parse_args(arguments)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    run(KINDS, chosen.seconds, lambda text: print(text, end="", flush=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
