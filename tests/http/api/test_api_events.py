"""/api/events: one sampler, the newest message for each listener, and bounds."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import gevent
import pytest
from testkit import http
from testkit.waiting import wait_until

from beanstalkd_py.http.api import events
from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.turns import Turns
from tests.http.api.conftest import Api
from tests.http.conftest import changed

REQUEST = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
FAST = changed("import beanstalkd_py.http.api.events as e; e.INTERVAL_S = 0.01")


def samples(connection: socket.socket) -> Iterator[dict[str, Any]]:
    with connection.makefile("rb") as lines:
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])


def test_each_listener_sees_changes(serve_api: Callable[..., Api]) -> None:
    api = serve_api(program=FAST)
    with http.connect(api.web) as one, http.connect(api.web) as other:
        for connection in one, other:
            connection.sendall(REQUEST)
        heard = [samples(one), samples(other)]
        for each in heard:
            first = next(each)
            assert [tube["name"] for tube in first["tubes"]] == ["default"]
            assert set(first["stats"]) == set(api.get("/api/server")["stats"])
        api.put(b"a", b"b")
        for each in heard:
            assert any(tubes_of(sample).get("mail") == 2 for sample in each)


def tubes_of(sample: dict[str, Any]) -> dict[str, int]:
    return {tube["name"]: tube["current-jobs-ready"] for tube in sample["tubes"]}


def test_closed_listeners_leave_nothing(serve_api: Callable[..., Api]) -> None:
    api = serve_api(program=FAST)
    api.get("/api/server")
    before = api.daemon.descriptors()
    for _ in range(3):
        with http.connect(api.web) as connection:
            connection.sendall(REQUEST)
            next(samples(connection))
    wait_until(lambda: api.daemon.descriptors() <= before, "all connections are closed")
    assert api.daemon.errors() == ""


def test_listeners_are_bounded(api: Api) -> None:
    with ExitStack() as stack:
        for _ in range(events.LISTENERS):
            connection = stack.enter_context(http.connect(api.web))
            connection.sendall(REQUEST)
            assert connection.recv(12) == b"HTTP/1.1 200"
        with http.connect(api.web) as connection:
            connection.sendall(REQUEST)
            assert connection.recv(12) == b"HTTP/1.1 503"
        assert api.get("/api/tubes")
    wait_until(lambda: http.talk(api.web, HEAD).startswith(b"HTTP/1.1 200"), "a place is free")


HEAD = b"HEAD /api/events HTTP/1.0\r\nHost: localhost\r\n\r\n"


def test_server_stops_with_listeners(api: Api) -> None:
    with http.connect(api.web) as connection:
        connection.sendall(REQUEST)
        next(samples(connection))
        assert api.daemon.stop() == 0
    assert api.daemon.errors() == ""


# Events alone


class Source:
    """Each sample has another number of tubes. error: is raised in place of the next one."""

    def __init__(self) -> None:
        self.samples = 0
        self.error: Exception | None = None

    def tubes(self) -> tuple[list[dict[str, Any]], int]:
        error, self.error = self.error, None
        if error is not None:
            raise error
        self.samples += 1
        return [{"name": str(n)} for n in range(self.samples)], 0

    def stats(self) -> dict[str, Any]:
        return {}


class World:
    def __init__(self) -> None:
        self.source = Source()
        self.failed: list[Exception] = []
        self.events = events.Events(
            self.source,  # type: ignore[arg-type]
            Turns(),
            lambda what, error: self.failed.append(error),
        )

    def listen(self) -> Iterator[bytes]:
        listening = self.events.listen()
        assert next(listening) == events.RETRY
        return listening


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(events, "INTERVAL_S", 0.001)
    return World()


def number(message: bytes) -> int:
    """Tubes of a sample."""
    begin, _, data = message.partition(b"\ndata: ")
    assert begin == b"event: sample" and message.endswith(b"\n\n")
    return len(json.loads(data)["tubes"])


def test_slow_listener_gets_the_newest_message(world: World) -> None:
    slow, quick = world.listen(), world.listen()
    assert number(next(slow)) == 1
    while number(next(quick)) < 9:
        pass
    assert number(next(slow)) == world.source.samples
    assert world.source.samples >= 9
    slow.close()  # type: ignore[attr-defined]
    quick.close()  # type: ignore[attr-defined]


def test_late_listener_need_not_wait(world: World) -> None:
    first = world.listen()
    next(first)
    before = world.source.samples
    late = world.listen()
    assert number(next(late)) == before == world.source.samples


def test_nothing_is_sampled_without_listeners(world: World) -> None:
    listening = world.listen()
    next(listening)
    listening.close()  # type: ignore[attr-defined]
    gevent.sleep(0.01)  # longer than the interval
    before = world.source.samples
    gevent.sleep(0.01)
    assert world.source.samples == before
    assert number(next(world.listen())) == before + 1


def test_message_has_a_bounded_number_of_tubes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MOST_TUBES", 1)
    listening = world.listen()
    message = [next(listening) for _ in range(3)][2]
    assert number(message) == 1 and b'"left_out": 2}' in message


def test_trouble_is_told_and_sampling_goes_on(world: World) -> None:
    world.source.error = ApiError(502, "unreachable", "The server is away.")
    listening = world.listen()
    assert next(listening).startswith(b'event: trouble\ndata: {"error": {"code": "unreachable"')
    assert number(next(listening)) == 1


def test_failure_ends_the_streams_and_is_reported(world: World) -> None:
    world.source.error = KeyError("a bug")
    assert list(world.listen()) == []
    assert len(world.failed) == 1
    assert number(next(world.listen())) == 1
