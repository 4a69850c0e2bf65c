"""Actions on many jobs that break off, and servers that do not answer: a scripted server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import gevent.socket
import pytest

from beanstalkd_py.http.api import link as link_module
from beanstalkd_py.http.api.bulk import FAILURES, TARGETS, Bulk
from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.link import Link, line
from beanstalkd_py.http.api.source import Filter

STATS = b"---\nid: 1\npri: 7\nstate: ready\n"
READY = b"OK %d\r\n%b\r\n" % (len(STATS), STATS)


class Server:
    """A source whose server gives these replies, one for each command, and then hangs up, or is
    silent.
    """

    def __init__(self, *replies: bytes, silent: bool = False) -> None:
        self.commands: list[bytes] = []
        self._replies = list(replies)
        self._silent = silent
        self._greenlets: list[Any] = []

    def connect(self) -> Link:
        ours, theirs = socket.socketpair()
        end = gevent.socket.socket(fileno=theirs.detach())
        self._greenlets.append(gevent.spawn(self._serve, end))
        return Link(gevent.socket.socket(fileno=ours.detach()))

    def _serve(self, end: Any) -> None:
        got = b""
        with end:
            while data := end.recv(1 << 16):
                *commands, got = (got + data).split(b"\r\n")
                for command in commands:
                    self.commands.append(command)
                    if self._replies:
                        end.sendall(self._replies.pop(0))
                    elif not self._silent:
                        return

    def close(self) -> None:
        """Its clients have disconnected."""
        gevent.joinall(self._greenlets, timeout=30, raise_error=True)

    def tube(self, name: str) -> dict[str, int]:
        return {"current-jobs-ready": 120}

    def matching(self, tube: str, state: str, wanted: Filter) -> Iterator[list[tuple[int, int]]]:
        for begin in range(1, 121, 50):
            yield [(id, 7) for id in range(begin, min(begin + 50, 121))]


def all_that_match(server: Server, action: str = "delete") -> dict[str, Any]:
    bulk = Bulk(server)  # type: ignore[arg-type]
    target = TARGETS[action]("other")
    try:
        return bulk.matching(target, "mail", "ready", Filter((b"a",)), None, False)
    finally:
        server.close()


def test_broken_action_says_what_was_done() -> None:
    server = Server(*[b"DELETED\r\n"] * 70)
    with pytest.raises(ApiError) as raised:
        all_that_match(server)
    assert (raised.value.status, raised.value.code) == (502, "lost")
    result = raised.value.as_json()["result"]
    assert (result["matched"], result["done"], result["failed"]) == (100, 70, 0)


def test_broken_list_says_what_was_done() -> None:
    server = Server(READY, READY, b"DELETED\r\n", b"DELETED\r\n")
    bulk = Bulk(server)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as raised:
        bulk.of_list(TARGETS["delete"](""), range(1, 3), False)
        bulk.of_list(TARGETS["delete"](""), range(1, 3), False)
    server.close()
    assert raised.value.as_json()["result"]["done"] == 0


def test_replies_before_the_end_of_a_connection_count() -> None:
    server = Server(READY, READY, READY, b"DELETED\r\n", b"NOT_FOUND\r\n")
    bulk = Bulk(server)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as raised:
        bulk.of_list(TARGETS["delete"](""), [1, 2, 3], False)
    server.close()
    result = raised.value.as_json()["result"]
    assert (result["matched"], result["done"], result["failed"]) == (3, 1, 1)


def test_each_job_has_its_own_outcome() -> None:
    replies = [b"DELETED\r\n", b"NOT_FOUND\r\n", b"OUT_OF_MEMORY\r\n"] * 40
    result = all_that_match(Server(*replies))
    assert (result["matched"], result["done"], result["failed"]) == (120, 40, 80)
    assert [(each["id"], each["code"]) for each in result["failures"][:3]] == [
        (2, "changed"), (3, "full"), (5, "changed"),
    ]  # fmt: skip


def test_named_failures_are_bounded() -> None:
    result = all_that_match(Server(*[b"NOT_FOUND\r\n"] * 120))
    assert result["failed"] == 120 and len(result["failures"]) == FAILURES


def test_bury_reserves_and_keeps_the_priority() -> None:
    reserved = b"RESERVED 1 3\r\nabc\r\n"
    replies = [reserved, b"BURIED\r\n", reserved, b"OUT_OF_MEMORY\r\n"]
    server = Server(*replies * 60)
    result = all_that_match(server, "bury")
    assert (result["done"], result["failed"]) == (60, 60)
    assert server.commands[:2] == [b"reserve-job 1", b"bury 1 7"]


@pytest.mark.parametrize("form", ["one", "list", "matching"])
def test_action_waits_for_the_reply(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Without one, it is not known whether the action was done."""
    monkeypatch.setattr(link_module, "ANSWER_S", 0.05)
    server = Server(*[READY] * (form != "matching"), silent=True)
    bulk = Bulk(server)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as raised:
        if form == "one":
            bulk.one(TARGETS["delete"](""), 1)
        elif form == "list":
            bulk.of_list(TARGETS["delete"](""), [1], False)
        else:
            all_that_match(server)
    server.close()
    assert (raised.value.status, raised.value.code) == (504, "no_answer")


@pytest.mark.parametrize(
    "reply",
    [
        b"OK x\r\n",
        b"OK -5\r\nab\r\n",
        b"OK 5000000000\r\n",
        b"OK 4\r\n---\n\r\n",
        b"OK\r\n",
        b"a" * 2000,
        b"OK 1\r\nab\r\n",
        b"WHAT\r\n",
        b"\r\n",
    ],
)
def test_reply_that_is_not_understood(reply: bytes) -> None:
    server = Server(reply)
    bulk = Bulk(server)  # type: ignore[arg-type]
    with pytest.raises(ApiError) as raised:
        bulk.one(TARGETS["delete"](""), 1)
    server.close()
    assert raised.value.status in (404, 502)


def test_connection_is_as_new_only_without_rests() -> None:
    server = Server(b"PONG\r\n", b"PONG\r\nPO")
    link = server.connect()
    link.one(line("ping"))
    assert link.is_clean
    link.send(line("ping"))
    assert not link.is_clean
    link.reply()
    assert not link.is_clean
    link.close()
    server.close()
