"""All HTTP connections together take a small share of the loop, whatever they send.

A server in this process: what is counted is the turns of the loop.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest

from beanstalkd_py.http.connections import Connections

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Served:
    """turn: of the loop, a number. asked: the turn of each request. accepted: for each connection,
    whether the listener was watched when it had been accepted.
    """

    def __init__(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turn = 0
        self.asked: list[int] = []
        self.accepted: list[bool] = []
        self.sockets = [socket.socket(socket.AF_UNIX)]
        self.path = path
        listener = self.sockets[0]
        listener.setblocking(False)
        listener.bind(path)
        listener.listen()
        self._prepare = gevent.get_hub().loop.prepare()
        self._prepare.start(self._count)
        self.connections = Connections([listener], self._answer, lambda *a, **more: None)
        admit = self.connections._admit

        def admitted(accepted: socket.socket, address: Any) -> None:
            self.accepted.append(any(each.active for each in self.connections._accepting))
            admit(accepted, address)

        monkeypatch.setattr(self.connections, "_admit", admitted)
        self.connections.begin()

    def _count(self) -> None:
        self.turn += 1

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.asked.append(self.turn)
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        self.sockets.append(client)
        return client

    def wait(self, done: Callable[[], bool]) -> None:
        with gevent.Timeout(30):
            while not done():
                gevent.sleep(0.001)

    def close(self) -> None:
        timers = filter(None, [self.connections._pause])
        for watcher in (*self.connections._accepting, *timers):
            watcher.stop()  # libev ends the process if it watches a closed descriptor
        for each in self.sockets:
            each.close()
        self.wait(lambda: not self.connections._greenlets)
        self._prepare.stop()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    served = Served(f"{tmp_path}/http", monkeypatch)
    yield served
    served.close()


def test_each_request_has_a_turn_of_the_loop(served: Served) -> None:
    """Also if many requests have arrived, on one connection or on several."""
    for _ in range(4):
        served.connect().sendall(10 * REQUEST)
    served.wait(lambda: len(served.asked) == 40)
    assert len(set(served.asked)) == 40


def test_each_receive_has_a_turn_of_the_loop(served: Served) -> None:
    """Each piece of a head is received alone: the next one is sent when it has been taken."""
    passed: list[int] = []
    wait = served.connections.gate.wait
    served.connections.gate.wait = lambda: (wait(), passed.append(served.turn))  # type: ignore
    client = served.connect()
    for number in range(10):
        client.sendall(REQUEST[number : number + 1])
        served.wait(lambda number=number: len(passed) > number)  # type: ignore[misc]
    client.sendall(REQUEST[10:])
    served.wait(lambda: bool(served.asked))
    assert len(passed) > 10 and len(set(passed)) == len(passed)


def test_idle_connection_does_not_pass_the_gate(served: Served) -> None:
    """Otherwise a request would wait until a thousand of them have passed."""
    passed: list[int] = []
    wait = served.connections.gate.wait
    served.connections.gate.wait = lambda: (wait(), passed.append(served.turn))  # type: ignore
    for _ in range(5):
        served.connect()
    served.wait(lambda: len(served.connections.incomplete) == 5)
    start = served.turn
    served.wait(lambda: served.turn > start + 50)
    assert passed == []


def test_many_are_accepted_at_once_while_there_are_no_commands(served: Served) -> None:
    served.connections.serves = False
    turns: list[int] = []
    admit = served.connections._admit
    served.connections._admit = lambda *a: (turns.append(served.turn), admit(*a))  # type: ignore
    for _ in range(10):
        served.connect()
    served.wait(lambda: len(turns) == 10)
    assert len(set(turns)) < 10


def test_listener_rests_after_each_accept(served: Served) -> None:
    for _ in range(10):
        served.connect()
    served.wait(lambda: len(served.accepted) == 10)
    assert not any(served.accepted), "the listener was still watched"
