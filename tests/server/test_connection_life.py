"""A connection on a fake transport: its state machine (`Life`), and the seam."""

from __future__ import annotations

import pytest

from beanstalkd_py.protocol.dispatch import OUTPUT_LIMIT, Dispatcher
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.connection import INPUT_LIMIT, Connection
from beanstalkd_py.server.context import Context, SessionOwner
from beanstalkd_py.server.life import MAY_BECOME, Life
from beanstalkd_py.server.transport import HUNG_UP, READABLE, WRITABLE
from tests.server.fake_transport import EVERYTHING, FakeTransport

ASK = b"list-tube-used\r\n"
ANSWER = b"USING default\r\n"


class World:
    def __init__(self, piece: int = EVERYTHING) -> None:
        self.dispatcher = Dispatcher(Queue())
        self.context = Context(self.dispatcher, print, self._make_session, lambda fd: None)
        self.transport = FakeTransport(piece)
        self.connection = Connection(self.context, self.transport)

    def _make_session(self, owner: SessionOwner, fd: int) -> Session:
        return Session(self.dispatcher, owner)

    def iterate(self) -> None:
        """Runs iterations of the loop until no call is left for a later one."""
        self.context.outbox.end_of_batch()
        while self.context.later:
            self.context.run_later()
            self.context.outbox.end_of_batch()

    def say(self, data: bytes, event: int = READABLE) -> None:
        self.transport.arrived += data
        self.connection.on_event(event, None)
        self.iterate()

    def end(self) -> None:
        self.transport.ended = True
        self.say(b"", READABLE | HUNG_UP)

    def take(self, nbytes: int = EVERYTHING) -> None:
        """Lets the transport take `nbytes` more bytes."""
        self.transport.takes = nbytes
        self.connection.on_event(WRITABLE, None)
        self.iterate()

    @property
    def life(self) -> Life:
        return self.connection.life


def test_connection_without_memory_is_not_counted() -> None:
    testcapi = pytest.importorskip("_testcapi")
    world = World()
    failures = 0
    for start in range(60):
        before = world.dispatcher.queue.connections
        transport = FakeTransport()
        connection = None
        testcapi.set_nomemory(start, start + 1)
        try:
            connection = Connection(world.context, transport)
        except MemoryError:
            failures += 1
        finally:
            testcapi.remove_mem_hooks()
        assert world.dispatcher.queue.connections - before == (connection is not None), start
    assert failures > 5


def test_commands_are_answered() -> None:
    world = World()
    world.say(ASK)
    assert (world.life, world.transport.sent) == (Life.READING, ANSWER)


def test_input_left_in_the_transport_is_received_without_an_event() -> None:
    world = World(piece=5)
    world.say(ASK * 3)
    assert world.transport.sent == ANSWER * 3


def test_input_pauses_until_the_client_takes_its_replies() -> None:
    world = World()
    world.transport.takes = 0
    world.say(ASK * (2 * OUTPUT_LIMIT // len(ANSWER)))
    assert world.life is Life.PAUSED and world.transport.awaits_writable
    left = len(world.transport.arrived)
    world.say(ASK)
    assert len(world.transport.arrived) == left + len(ASK)  # nothing was received
    world.take()
    assert world.life is Life.READING and not world.transport.awaits_writable
    assert world.transport.sent == ANSWER * (2 * OUTPUT_LIMIT // len(ANSWER) + 1)


def test_no_reply_overtakes_bytes_that_the_transport_did_not_take() -> None:
    """The transport takes bytes again before its event is handled."""
    world = World()
    world.transport.takes = 3
    world.say(ASK)
    world.transport.takes = EVERYTHING
    world.say(ASK)
    assert world.transport.sent == ANSWER[:3]
    world.take()
    assert world.transport.sent == ANSWER * 2


def test_input_far_ahead_of_a_reserve_is_not_received() -> None:
    world = World()
    world.say(b"reserve\r\n" + ASK * (INPUT_LIMIT // len(ASK) + 1))
    world.say(ASK)
    assert (world.life, world.transport.arrived) == (Life.AHEAD, ASK)


def test_hang_up_ends_a_wait_whose_input_is_far_ahead() -> None:
    world = World()
    count = INPUT_LIMIT // len(ASK) + 1
    world.say(b"reserve\r\n" + ASK * count)
    world.say(ASK)
    world.end()
    assert world.transport.sent == b"TIMED_OUT\r\n" + ANSWER * (count + 1)
    assert (world.life, world.transport.closed) == (Life.GONE, True)


def test_earlier_hang_up_ends_the_wait_once_input_is_far_ahead() -> None:
    world = World(piece=INPUT_LIMIT + 100)
    count = 3 * INPUT_LIMIT // len(ASK)
    world.transport.arrived = b"reserve\r\n" + ASK * count
    world.end()
    assert world.transport.sent == b"TIMED_OUT\r\n" + ANSWER * count
    assert world.life is Life.GONE


def test_end_of_input_is_followed_by_all_replies_and_the_close() -> None:
    world = World()
    world.transport.takes = 0
    world.transport.arrived = ASK * (2 * OUTPUT_LIMIT // len(ANSWER))
    world.end()
    world.take(len(ANSWER))
    assert world.life in (Life.DRAINING, Life.PAUSED)
    world.take()
    assert world.life is Life.GONE
    assert world.transport.sent == ANSWER * (2 * OUTPUT_LIMIT // len(ANSWER))


def test_quit_closes_when_the_replies_are_taken() -> None:
    world = World()
    world.transport.takes = 0
    world.say(ASK + b"quit\r\n" + ASK)
    assert world.life is Life.CLOSING
    world.take()
    assert (world.life, world.transport.sent) == (Life.GONE, ANSWER)


def test_server_end_takes_no_command_and_sends_what_is_pending() -> None:
    world = World()
    world.transport.takes = 0
    world.say(ASK)
    world.context.ending = True
    world.connection.take_no_more()
    world.say(ASK)
    assert not world.connection.all_sent()
    world.take()
    assert world.connection.all_sent() and world.life is Life.CLOSING
    world.connection.shutdown()
    assert (world.life, world.transport.sent) == (Life.GONE, ANSWER)


def test_change_of_transport_keeps_the_session() -> None:
    """As for STARTTLS: later input comes through the new transport."""
    world = World()
    world.say(b"use a\r\n")
    plain, world.transport = world.transport, FakeTransport()
    world.connection.use(world.transport)
    world.say(ASK)
    assert (plain.sent, world.transport.sent) == (b"USING a\r\n", b"USING a\r\n")


@pytest.mark.parametrize("life", Life)
def test_every_life_can_become_gone_and_gone_is_final(life: Life) -> None:
    assert (Life.GONE in MAY_BECOME[life]) is (life is not Life.GONE)
    assert life not in MAY_BECOME[life]


def test_transition_that_the_table_lacks_is_an_error() -> None:
    world = World()
    world.say(ASK + b"quit\r\n")
    with pytest.raises(AssertionError, match="GONE to READING"):
        world.connection._become(Life.READING)
