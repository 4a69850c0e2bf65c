"""The limits on connections: who is closed, who notices nothing, and what the operator reads."""

from __future__ import annotations

import signal
import socket
from contextlib import suppress
from pathlib import Path

import pytest
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.server.admission import INSIDE, Admission
from beanstalkd_py.server.limit_reports import INTERVAL_NS, LimitReports

ASK = b"list-tube-used\r\n"
USING = b"USING default\r\n"
FULL = "a new client was closed: 3 connections are open (--max-connections)"


class World:
    """Admission on a fake clock, and the operator's lines."""

    def __init__(self) -> None:
        self.now = 0
        self.lines: list[str] = []
        self.admission = Admission(LimitReports(messages_only(self.lines.append), lambda: self.now))
        self.fds = 0

    def connect(self, address: str = "10.0.0.1") -> int | None:
        """The descriptor of the connection; None if it is refused."""
        if address != INSIDE and not self.admission.admits(address):
            return None
        self.fds += 1
        self.admission.opened(self.fds, address)
        return self.fds


@pytest.fixture
def world() -> World:
    return World()


def test_fields_have_the_option_and_the_number_of_times() -> None:
    events: list[tuple[str, dict[str, object]]] = []

    def report(message: str, event: str = "", **fields: object) -> None:
        events.append((event, fields))

    now = 0
    reports = LimitReports(report, lambda: now)
    for _ in range(3):
        reports.reached("--max-connections", "many")
    now = INTERVAL_NS
    reports.reached("--max-connections", "many")
    limit = {"limit": "--max-connections"}
    assert events == [
        ("limit_reached", {**limit, "times": 1}),
        ("limit_reached", {**limit, "times": 3}),
    ]


def test_stop_reports_the_times_that_have_no_line() -> None:
    events: list[tuple[str, str, dict[str, object]]] = []

    def report(message: str, event: str = "", **fields: object) -> None:
        events.append((message, event, fields))

    reports = LimitReports(report, lambda: 0)
    for _ in range(3):
        reports.reached("--max-connections", "many")
    reports.reached("--max-pending", "much")
    del events[:]
    reports.end()
    reports.end()
    assert events == [
        (
            "--max-connections was reached 2 times more before the stop",
            "limit_reached",
            {"limit": "--max-connections", "times": 2},
        )
    ]


def test_without_limits_everyone_stays(world: World) -> None:
    assert all(world.connect() for _ in range(1000))


def test_client_over_the_limit_is_refused_until_another_leaves(world: World) -> None:
    world.admission.limit = 2
    assert [world.connect(), world.connect("10.0.0.2"), world.connect("10.0.0.3")] == [1, 2, None]
    world.admission.closed(1)
    assert [world.connect("10.0.0.4"), world.connect("10.0.0.4")] == [3, None]
    assert world.admission.refused == 2


def test_limit_of_an_address_concerns_no_other_address(world: World) -> None:
    world.admission.per_address = 1
    assert [world.connect(), world.connect(), world.connect("::1")] == [1, None, 2]
    world.admission.closed(1)
    assert world.connect() == 3


def test_unix_clients_have_no_address(world: World) -> None:
    world.admission.per_address = 1
    assert [world.connect(""), world.connect("")] == [1, 2]
    world.admission.limit = 2
    assert world.connect("") is None


def test_connections_inside_the_process_do_not_count(world: World) -> None:
    world.admission.limit = world.admission.per_address = 1
    assert [world.connect(INSIDE), world.connect(INSIDE), world.connect()] == [1, 2, 3]
    world.admission.closed(1)
    assert world.connect("10.0.0.2") is None


def test_lower_limit_closes_nobody(world: World) -> None:
    for _ in range(3):
        world.connect()
    world.admission.limit = 2
    world.admission.closed(1)
    assert world.connect() is None
    world.admission.closed(2)
    assert world.connect() == 4


def test_each_limit_has_one_line_a_minute_with_the_number(world: World) -> None:
    world.admission.per_address = 1
    for _ in range(10):
        world.connect()
    own = "a new client was closed: 1 connection from 10.0.0.1 is open"
    assert world.lines == [f"{own} (--max-connections-per-address)"]
    world.admission.limit = 1
    world.connect("10.0.0.2")
    assert len(world.lines) == 2
    world.admission.limit = 0
    world.now = INTERVAL_NS
    world.connect()
    assert world.lines[2:] == [
        f"{own} (--max-connections-per-address); 8 more since the last such line"
    ]


def refused(client: Client) -> bool:
    """Whether the server closes the connection without an answer."""
    with suppress(ConnectionError):
        client.say(ASK)
    return client.rest() == b""


@pytest.fixture(params=["tcp", "unix"])
def daemon(request: pytest.FixtureRequest, start: Start, tmp_path: Path) -> Daemon:
    at = "127.0.0.1" if request.param == "tcp" else f"unix:{tmp_path / 'socket'}"
    return start("--max-connections", "3", at=at)


def test_client_over_the_limit_is_closed_and_others_notice_nothing(daemon: Daemon) -> None:
    waiting, held, third = clients = [daemon.client() for _ in range(3)]
    assert third.ask(ASK) == held.ask(ASK) == USING
    waiting.say(b"reserve\r\n")
    for _ in range(5):
        assert refused(daemon.client())
    assert daemon.errors() == f"beanstalkd-py: {FULL}\n"
    assert held.put(b"x") == 1
    assert waiting.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    assert third.stat(b"current-connections") == b"3"
    assert third.ask(b"capabilities\r\n").startswith(b"OK ")
    assert third.stat(b"max-connections") == b"3"
    assert third.stat(b"max-connections-reached") == b"5"
    connections = int(third.stat(b"total-connections"))
    clients[0].close()
    wait_until(lambda: third.stat(b"current-connections") == b"2", "the first one is gone")
    assert daemon.client().ask(ASK) == USING
    assert int(third.stat(b"total-connections")) == connections + 1
    assert daemon.stop() == 0


def test_limit_of_one_address_over_tcp(start: Start) -> None:
    daemon = start("--max-connections-per-address=2", at="0.0.0.0")

    def connect(address: str) -> Client:
        return Client(
            socket.create_connection(("127.0.0.1", daemon.port), source_address=(address, 0))
        )

    with connect("127.0.0.2") as first, connect("127.0.0.2") as second:
        assert first.ask(ASK) == second.ask(ASK) == USING
        with connect("127.0.0.2") as third, connect("127.0.0.3") as other:
            assert refused(third)
            assert other.ask(ASK) == USING
        assert first.ask(ASK) == second.ask(ASK) == USING
    assert daemon.errors() == (
        "beanstalkd-py: a new client was closed: 2 connections from 127.0.0.2 are open "
        "(--max-connections-per-address)\n"
    )


def test_reload_changes_the_limits(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "beanstalkd.toml"
    path.write_text("max_connections = 2\n")
    daemon = start("--config", str(path))
    clients = [daemon.client() for _ in range(2)]
    assert [client.ask(ASK) for client in clients] == [USING, USING]
    assert refused(daemon.client())
    path.write_text("")
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "max_connections 2 -> 0" in daemon.errors(), "the server has reloaded")
    assert daemon.client().ask(ASK) == USING
