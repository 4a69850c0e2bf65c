"""When descriptors run out: nobody is lost, nothing spins, no log is flooded, and the server's own
files are not held up.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
from testkit.start import Start
from testkit.waiting import wait_until

LIMIT = 64
SAID = r"connections: no descriptors for more, so others wait"


def test_clients_beyond_the_limit_wait_until_others_close(start: Start, log: str) -> None:
    limit = 256  # a log of such small segments holds some dozens of them
    daemon = start("-b", log, "-s", "65536", at="127.0.0.1", descriptors=limit)
    clients = [daemon.client() for _ in range(limit + 40)]
    for client in clients:
        client.say(b"list-tube-used\r\n")
    wait_until(
        lambda: SAID in daemon.said(), "it says that it is full"
    )  # all have been accepted that can be
    served = int(clients[0].hear() and clients[0].stat(b"current-connections"))
    assert limit // 2 < served <= limit - 64
    assert daemon.descriptors() < limit
    assert not daemon.spins()
    # The log can still be written, through many segments.
    for _ in range(100):
        clients[0].put(b"x" * 30_000)
    segments = sorted(path.name for path in Path(log).glob("*.wal"))
    assert len(segments) > 30
    # One goes, one comes.
    for gone, (client, waiting) in enumerate(zip(clients[:40], clients[served:], strict=False), 1):
        client.close()
        assert waiting.hear() == [b"USING default\r\n"], gone
    assert daemon.said().count("\n") == 1 and SAID in daemon.said()


def test_waiting_clients_are_served_at_once_when_all_close(start: Start) -> None:
    daemon = start(at="127.0.0.1", descriptors=LIMIT)
    clients = [daemon.client() for _ in range(3 * LIMIT)]
    for client in clients:
        client.say(b"list-tube-used\r\n")
    clients[0].hear()
    for client in clients[1:LIMIT]:
        client.close()
    for client in clients[-10:]:
        client.close()  # before they were ever accepted
    assert all(client.hear() == [b"USING default\r\n"] for client in clients[LIMIT : LIMIT + 30])
    assert daemon.said().count("\n") == 1


def test_failed_accept_is_reported_once(start: Start) -> None:
    """The process itself took the descriptors."""
    daemon = start(at="127.0.0.1", descriptors=LIMIT)
    client = daemon.client()
    client.ask(b"list-tube-used\r\n")
    set_limit(daemon.pid, daemon.descriptors())
    waiting = [daemon.client() for _ in range(3)]
    for each in waiting:
        each.say(b"list-tube-used\r\n")
    wait_until(lambda: daemon.said(), "it says that it cannot accept")
    assert not daemon.spins()
    client.ask(b"list-tube-used\r\n")
    client.close()
    assert waiting[0].hear() == [b"USING default\r\n"]
    waiting[0].close()
    assert waiting[1].hear() == [b"USING default\r\n"]
    assert daemon.said() == "beanstalkd-py: accept(): Too many open files\n"


EPOLL_REFUSES = """
import errno, os, sys
from beanstalkd_py import cli
from beanstalkd_py.server import server

really = server.PlainTransport
refusals = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

def refused_once(sock, epoll):
    if refusals:
        raise refusals.pop()
    return really(sock, epoll)

server.PlainTransport = refused_once
sys.argv[0] = "full"
cli.run()
"""


@pytest.mark.sources
def test_connection_that_epoll_refuses_is_closed_and_reported(launch: Start) -> None:
    daemon = launch(at="127.0.0.1", program=(sys.executable, "-c", EPOLL_REFUSES))
    daemon.wait_listening()
    refused, later = daemon.client(), daemon.client()
    assert refused.rest() == b""
    assert later.ask(b"list-tube-used\r\n") == b"USING default\r\n"
    line = "full: epoll: No space left on device; see fs.epoll.max_user_watches\n"
    assert daemon.said() == line
    assert daemon.stop() == 0


def set_limit(pid: int, count: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, count))
