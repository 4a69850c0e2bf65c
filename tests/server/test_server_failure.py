"""A broken invariant ends the server, at once; so does memory that runs out within a change."""

from __future__ import annotations

import sys

from testkit.start import Start

BROKEN_TOUCH = """
import sys
from beanstalkd_py import cli
from beanstalkd_py.protocol import dispatch

def touch(self, client, now, command):
    raise AssertionError("an invariant")

dispatch.Dispatcher.touch = touch
sys.exit(cli.main(["broken", *sys.argv[1:]]))
"""


def test_broken_invariant_ends_the_server_with_a_traceback(start: Start, log: str) -> None:
    daemon = start("-b", log, program=(sys.executable, "-c", BROKEN_TOUCH))
    before, culprit, behind = (daemon.client() for _ in range(3))
    for client in (before, culprit, behind):
        client.ask(b"use x\r\n")
    with daemon.stopped():
        before.say(b"put 0 0 60 1\r\nx\r\n")
        culprit.say(b"touch 1\r\n")
        behind.say(b"put 0 0 60 1\r\nx\r\n")
    # The put before it belongs to the same poll batch, and no reply promises it yet: it is lost
    # with the rest.
    assert [client.rest() for client in (before, culprit, behind)] == [b"", b"", b""]
    assert daemon.wait_end() == 70
    line, traceback, *_, last = daemon.said().splitlines()
    assert line == "broken: a bug in the server: AssertionError: an invariant"
    assert traceback.startswith("Traceback ") and last == "AssertionError: an invariant"
    assert start("-b", log).client().put() == 1


def test_lack_of_memory_within_a_change_ends_the_server_with_a_line(start: Start, log: str) -> None:
    program = BROKEN_TOUCH.replace('AssertionError("an invariant")', "MemoryError")
    daemon = start("-b", log, program=(sys.executable, "-c", program))
    client = daemon.client()
    assert client.put() == 1
    assert client.ask(b"touch 1\r\n") == b""
    assert daemon.wait_end() == 71
    assert daemon.said().count("\n") == 1
    assert daemon.said().startswith("broken: out of memory (<string>, line 7): ")
    assert start("-b", log).client().ask(b"peek 1\r\n").startswith(b"FOUND 1")
