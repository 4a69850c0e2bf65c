"""--idle-timeout, --input-timeout and --max-pending: each limit is reached, has its effect and its
line, and the server goes on. The clock is the argument of `Timeouts.check`.
"""

from __future__ import annotations

from itertools import count

import pytest
from testkit.start import Start

from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.config.options import DEFAULT_MAX_PENDING
from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT, Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.admission import INSIDE
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.context import Context, SessionOwner
from beanstalkd_py.server.life import Life
from beanstalkd_py.server.limit_reports import LimitReports
from beanstalkd_py.server.timeouts import Timeouts
from beanstalkd_py.server.transport import READABLE, WRITABLE
from tests.server.fake_transport import EVERYTHING, FakeTransport

SECOND = 1_000_000_000
ASK = b"list-tube-used\r\n"
ANSWER = b"USING default\r\n"
IDLE = "was closed: it was idle for 5 s (--idle-timeout)"
SLOW = "was closed: it took over 5 s for one line or body (--input-timeout)"


class Client:
    def __init__(self, world: World, fd: int) -> None:
        self._world = world
        self.transport = FakeTransport(fd=fd)
        self.connection = Connection(world.context, self.transport)
        world.connections[fd] = self.connection

    def say(self, data: bytes, event: int = READABLE) -> bytes:
        """Returns the replies that came at once."""
        before = len(self.transport.sent)
        self.transport.arrived += data
        self.connection.on_event(event, None)
        self._world.iterate()
        return self.transport.sent[before:]

    def read(self) -> bytes:
        """Reads all replies."""
        self.transport.takes = EVERYTHING
        self.say(b"", WRITABLE)
        return self.transport.sent

    @property
    def gone(self) -> bool:
        assert self.connection.gone is self.transport.closed
        return self.transport.closed


class World:
    """A server with its timeouts. now: seconds since its start."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.now = 0.0
        self.connections: dict[int, Connection] = {}
        self.dispatcher = Dispatcher(Queue())
        self.context = Context(self.dispatcher, print, self._session, self._forget)
        reports = LimitReports(messages_only(self.lines.append), lambda: round(self.now * SECOND))
        self.inside = 0  # a descriptor
        self.timeouts = Timeouts(self.connections, self.context, reports, self._address)
        self._fds = count(7)

    def _address(self, fd: int) -> str:
        if fd == self.inside:
            return INSIDE
        return "10.0.0.7" if fd % 2 else ""

    def _session(self, owner: SessionOwner, fd: int) -> Session:
        return Session(self.dispatcher, owner)

    def _forget(self, fd: int) -> None:
        del self.connections[fd]

    def client(self) -> Client:
        return Client(self, next(self._fds))

    def iterate(self) -> None:
        self.context.outbox.end_of_batch()
        while self.context.later:
            self.context.run_later()
            self.context.outbox.end_of_batch()

    def wait(self, seconds: float) -> None:
        """Checks once a second."""
        for _ in range(round(seconds)):
            self.now += 1.0
            self.timeouts.check(round(self.now * SECOND))
            self.iterate()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def idle(world: World) -> World:
    world.timeouts.set(5, 0)
    return world


@pytest.fixture
def slow(world: World) -> World:
    world.timeouts.set(0, 5)
    return world


# --- idle time


def test_idle_client_is_closed_and_others_stay(idle: World) -> None:
    silent, other = idle.client(), idle.client()
    assert silent.say(ASK) == other.say(ASK) == ANSWER
    for _ in range(2):
        idle.wait(2)
        assert not silent.gone
        assert other.say(ASK) == ANSWER
        assert other.say(ASK) == ANSWER
    idle.wait(2)
    assert silent.gone and not other.gone
    assert silent.transport.sent == ANSWER
    assert idle.lines == [f"a client from 10.0.0.7 {IDLE}"]
    assert idle.timeouts.idle_closed == 1
    assert other.say(b"stats\r\n").startswith(b"OK ")
    assert idle.client().say(ASK) == ANSWER


def test_connection_inside_the_process_is_never_idle(idle: World) -> None:
    idle.inside = 7
    inside, other = idle.client(), idle.client()
    idle.wait(9)
    assert other.gone and not inside.gone


def test_client_that_waits_in_reserve_is_not_idle(idle: World) -> None:
    waiting = idle.client()
    waiting.say(b"reserve\r\n")
    idle.wait(100)
    assert not waiting.gone
    assert idle.client().say(b"put 0 0 60 1\r\nx\r\n") == b"INSERTED 1\r\n"
    assert waiting.transport.sent == b"RESERVED 1 1\r\nx\r\n"
    idle.wait(100)  # it holds the job
    assert not waiting.gone
    assert waiting.say(b"delete 1\r\n") == b"DELETED\r\n"
    idle.wait(5)
    assert not waiting.gone
    idle.wait(2)
    assert waiting.gone


def test_client_without_a_command_is_idle(idle: World) -> None:
    clients = [idle.client() for _ in range(3)]
    idle.wait(7)
    assert all(client.gone for client in clients)
    assert idle.lines == [f"a client from 10.0.0.7 {IDLE}"]


def test_client_whose_replies_wait_for_the_log_is_not_idle(idle: World) -> None:
    client = idle.client()
    client.say(ASK)
    client.connection.queued += 10  # as in the outbox
    idle.wait(100)
    assert not client.gone
    client.connection.queued -= 10
    idle.wait(7)
    assert client.gone


def test_client_that_reads_no_replies_is_idle(idle: World) -> None:
    client = idle.client()
    client.transport.takes = 3
    client.say(ASK)
    assert client.connection.stalled
    idle.wait(7)
    assert client.gone


def test_time_without_checks_counts_two_seconds(world: World) -> None:
    """The process was stopped: what clients sent meanwhile was not received yet."""
    silent, halfway = world.client(), world.client()
    silent.say(ASK)
    halfway.say(b"put 0 0 60 10\r\nhello")
    world.timeouts.set(5, 5)
    world.wait(2)
    world.now += 1000
    world.wait(2)
    assert not silent.gone and not halfway.gone
    assert halfway.say(b"world\r\n").startswith(b"INSERTED ")
    world.wait(1)
    assert silent.gone and not halfway.gone


def test_new_idle_timeout_counts_from_its_reload(world: World) -> None:
    client = world.client()
    client.say(ASK)
    world.wait(100)
    world.timeouts.set(5, 0)
    world.wait(5)
    assert not client.gone
    world.wait(2)
    assert client.gone


# --- time for a line or a body


@pytest.mark.parametrize(
    "begun",
    [
        b"list-tu",
        ASK + b"list-tu",
        b"put 0 0 60 10\r\nhello",
        b"put 0 0 60 10\r\nhello, abc\r",
        b"put 0 0 60 100000\r\n" + bytes(70_000),
        b"put 0 0 60 " + b"1" * 300,
        b"put 0 0 60 200000\r\nx",
        b"put-in-tube a 0 0 60 10\r\nhello",
        b"put-in-tube a x 0 60 10\r\nhello",
    ],
    ids=[
        "line",
        "second line",
        "body",
        "end of body",
        "long body",
        "long line",
        "too big",
        "in tube",
        "malformed",
    ],
)
def test_client_that_does_not_finish_is_closed(slow: World, begun: bytes) -> None:
    client, other = slow.client(), slow.client()
    client.say(begun)
    slow.wait(5)
    assert not client.gone
    slow.wait(1)
    assert client.gone and not other.gone
    assert slow.lines == [f"a client from 10.0.0.7 {SLOW}"]
    assert slow.timeouts.input_closed == 1
    assert other.say(b"put 0 0 60 1\r\nx\r\n").startswith(b"INSERTED ")
    assert other.say(b"peek-ready\r\n").startswith(b"FOUND ")


def test_single_bytes_do_not_prolong_the_time(slow: World) -> None:
    line, body = slow.client(), slow.client()
    body.say(b"put 0 0 60 100\r\n")
    for _ in range(6):
        line.say(b"x")
        body.say(b"x")
        slow.wait(1)
    assert line.gone and body.gone


def test_many_commands_that_are_cut_are_not_one(slow: World) -> None:
    """At each check a command is unfinished, but never the same one."""
    lines, bodies = slow.client(), slow.client()
    lines.say(ASK[:5])
    bodies.say(b"put 0 0 60 4\r\na")
    for _ in range(20):
        slow.wait(1)
        assert lines.say(ASK[5:] + ASK[:5]) == ANSWER
        assert bodies.say(b"bcd\r\nput 0 0 60 4\r\na").startswith(b"INSERTED ")
    for _ in range(20):
        slow.wait(1)
        assert lines.say(ASK[5:]) == ANSWER  # now each piece is received alone
        lines.say(ASK[:5])
        assert bodies.say(b"bcd\r\n").startswith(b"INSERTED ")
        bodies.say(b"put 0 0 60 4\r\na")
    assert not slow.lines


def test_commands_behind_a_reserve_are_not_unfinished(slow: World) -> None:
    client = slow.client()
    client.say(b"reserve\r\nlist-tu")
    slow.wait(100)
    assert slow.client().say(b"put 0 0 60 1\r\nx\r\n") == b"INSERTED 1\r\n"
    slow.wait(5)
    assert not client.gone
    slow.wait(1)
    assert client.gone


def test_silent_client_is_not_slow(slow: World) -> None:
    client = slow.client()
    slow.wait(100)
    assert client.say(ASK) == ANSWER
    slow.wait(100)
    assert client.say(ASK) == ANSWER


def test_job_of_a_slow_client_is_ready_again(slow: World) -> None:
    client, other = slow.client(), slow.client()
    client.say(b"put 0 0 60 1\r\nx\r\nreserve\r\ntouch 1")
    other.say(b"reserve\r\n")
    slow.wait(6)
    assert client.gone
    assert other.transport.sent == b"RESERVED 1 1\r\nx\r\n"


# --- bytes that wait for a client


def test_client_that_does_not_read_is_not_executed_and_then_goes_on(world: World) -> None:
    client, other = world.client(), world.client()
    client.transport.takes = 0
    asked = 2 * DEFAULT_MAX_PENDING // len(ANSWER)
    client.say(ASK * asked)
    assert client.connection.life is Life.PAUSED
    # The limit is looked at after each receive.
    most = DEFAULT_MAX_PENDING + OUTPUT_LIMIT + len(ANSWER)
    assert DEFAULT_MAX_PENDING < client.connection.queued <= most
    for _ in range(5):
        assert other.say(ASK) == ANSWER
        world.wait(1)
    waits = f"{client.connection.queued} bytes of replies wait for it (--max-pending)"
    assert world.lines == [f"a client from 10.0.0.7 does not read: {waits}"]
    assert world.timeouts.stalled == 1
    assert client.read() == ANSWER * asked
    assert client.say(ASK) == ANSWER
    world.wait(2)
    assert not world.context.paused


def test_client_that_reads_slowly_is_not_reported(world: World) -> None:
    client = world.client()
    client.transport.takes = 0
    client.say(ASK * (2 * DEFAULT_MAX_PENDING // len(ANSWER)))
    for _ in range(5):
        world.wait(1)
        client.transport.takes = 100
        client.say(b"", WRITABLE)
    assert not world.lines and client.connection.life is Life.PAUSED


def test_lower_limit_pauses_sooner(world: World) -> None:
    world.context.max_pending = world.dispatcher.output_limit = 1000
    client = world.client()
    client.transport.takes = 0
    client.say(ASK * 500)
    assert 1000 < client.connection.queued <= 1000 + len(ANSWER)
    assert client.read() == ANSWER * 500


# --- all of them in a real server


def test_server_closes_clients_over_its_limits(start: Start) -> None:
    daemon = start("--idle-timeout", "1", "--input-timeout=1", "--max-pending", "1000")
    holds, idle, slow = (daemon.client() for _ in range(3))
    assert holds.put(b"x") == 1
    assert holds.ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"
    slow.say(b"put 0 0 60 10\r\nx")
    assert idle.rest() == slow.rest() == b""
    assert holds.ask(b"capabilities\r\n").startswith(b"OK ")
    assert holds.stat(b"idle-timeout") == holds.stat(b"input-timeout") == b"1"
    closed = int(holds.stat(b"idle-timeout-reached")) + int(holds.stat(b"input-timeout-reached"))
    assert closed == 2
    assert holds.stat(b"max-pending") == b"1000" and holds.stat(b"max-pending-reached") == b"0"
    assert "was closed: it was idle for 1 s (--idle-timeout)\n" in daemon.errors()
    assert daemon.client().put(b"y") == 3
    assert daemon.stop() == 0
