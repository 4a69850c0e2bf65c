"""Connections on real sockets whose input and replies go through the poller and `Sends`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from beanstalkd_py.config.options import DEFAULT_MAX_PENDING
from beanstalkd_py.queue.memory import MemoryReserve
from beanstalkd_py.server import poller, sends
from beanstalkd_py.server.batchedio import BATCHED_BYTES
from beanstalkd_py.server.connection import Connection
from beanstalkd_py.server.life import Life
from beanstalkd_py.server.poller import Poller
from beanstalkd_py.server.sends import Sends
from beanstalkd_py.server.transport import READABLE
from tests.server.batched_world import World

ASK = b"list-tube-used\r\n"
ANSWER = b"USING default\r\n"
BODY = b"x" * 60_000
PEEK = b"peek 1\r\n"
FOUND = b"FOUND 1 60000\r\n" + BODY + b"\r\n"


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    for connection in world.connections.values():
        connection.abandon()
    for theirs in world.clients:
        theirs.close()
    world.context.poller.epoll.close()


def put_body(world: World) -> None:
    _, producer = world.connect()
    producer.send(b"put 0 0 60 60000\r\n" + BODY + b"\r\n")
    world.settle()
    assert producer.recv(99) == b"INSERTED 1\r\n"


def pause(world: World) -> tuple[Connection, socket.socket]:
    """A client that reads no replies, and whose connection is READING still."""
    connection, theirs = world.connect()
    theirs.send(PEEK * 4)
    world.settle()
    assert connection.life is Life.READING and DEFAULT_MAX_PENDING - 60_000 < connection.queued
    return connection, theirs


def test_replies_of_a_batch_are_sent_at_its_end(world: World) -> None:
    one, two = world.connect(), world.connect()
    for _, theirs in (two, one):
        theirs.send(ASK)
    for fd, event, received in world.context.poller.poll():
        world.connections[fd].on_event(event, received)
    with pytest.raises(BlockingIOError):
        one[1].recv(99)
    assert not world.end_batch()
    assert [theirs.recv(99) for _, theirs in (one, two)] == [ANSWER, ANSWER]
    assert all(connection.all_sent() for connection, _ in (one, two))


def test_reply_waits_for_an_earlier_one_of_its_client(world: World) -> None:
    """The end of a wait comes through the outbox. A reply to a command of the same batch does not,
    unless another one waits there.
    """
    (_, waiting), (_, producer) = world.connect(), world.connect()
    waiting.send(b"reserve\r\n")
    world.settle()
    producer.send(b"put 0 0 60 1\r\nx\r\n")
    waiting.send(b"use a\r\n")
    world.settle()
    assert waiting.recv(99) == b"RESERVED 1 1\r\nx\r\nUSING a\r\n"


def test_reply_is_sent_before_its_connection_closes_in_the_same_batch(world: World) -> None:
    connection, theirs = world.connect()
    connection.on_event(READABLE, ASK)
    connection.on_event(READABLE, b"")
    assert connection.gone
    assert theirs.recv(99) == ANSWER and theirs.recv(99) == b""


def test_connection_closes_after_the_rest_of_a_reply_of_its_batch(world: World) -> None:
    put_body(world)
    connection, theirs = world.connect()
    connection.on_event(READABLE, PEEK)
    connection.on_event(READABLE, b"")
    assert world.hear(theirs, len(FOUND)) == FOUND
    assert connection.gone


def test_close_before_a_reply_that_the_client_does_not_take(world: World) -> None:
    connection, theirs = world.connect()
    connection.on_event(READABLE, ASK)
    theirs.close()
    connection.on_event(READABLE, b"")
    assert connection.gone


def test_reply_never_reaches_the_next_owner_of_its_descriptor(world: World) -> None:
    connection, _ = world.connect()
    connection.on_event(READABLE, ASK)
    connection.close()
    ours, theirs = socket.socketpair()
    assert connection.fd in (ours.fileno(), theirs.fileno())
    ours.setblocking(False)
    theirs.setblocking(False)
    world.end_batch()
    for each in (ours, theirs):
        with pytest.raises(BlockingIOError):
            each.recv(99)
    ours.close()
    theirs.close()


def test_client_that_reads_nothing_gets_every_byte_in_order(world: World) -> None:
    """Commands of the same batches come after bytes that its socket did not take."""
    put_body(world)
    connection, theirs = world.connect()
    other, other_s = world.connect()
    theirs.send(PEEK)
    world.batch()
    theirs.send(ASK + PEEK)
    other_s.send(ASK)
    world.batch()
    theirs.send(ASK)
    world.settle()
    assert other_s.recv(99) == ANSWER
    expected = FOUND + ANSWER + FOUND + ANSWER
    assert world.hear(theirs, len(expected)) == expected
    assert connection.queued == 0 and other.queued == 0


def test_two_pieces_of_a_client_stay_in_order_when_the_first_is_cut(world: World) -> None:
    put_body(world)
    connection, theirs = world.connect()
    _, other_s = world.connect()
    theirs.send(PEEK * 3)  # each reply is a piece of its own
    other_s.send(ASK)
    world.settle()
    theirs.send(ASK)
    world.settle()
    assert other_s.recv(99) == ANSWER
    assert world.hear(theirs, 3 * len(FOUND) + len(ANSWER)) == FOUND * 3 + ANSWER
    assert connection.queued == 0


def test_quit_is_closed_after_the_replies_of_its_batch(world: World) -> None:
    connection, theirs = world.connect()
    _, other_s = world.connect()
    other_s.send(ASK)
    theirs.send(ASK + b"quit\r\n")
    world.batch()
    assert (theirs.recv(99), theirs.recv(99)) == (ANSWER, b"")
    assert connection.gone and other_s.recv(99) == ANSWER


def test_only_a_reading_connection_is_receivable(world: World) -> None:
    put_body(world)
    connection, theirs = world.connect()
    assert world.receivable(connection)
    theirs.send(PEEK * 8)
    world.settle()
    assert connection.life is Life.PAUSED and not world.receivable(connection)
    world.hear(theirs, 8 * len(FOUND))
    assert connection.life is Life.READING and world.receivable(connection)
    connection.close()
    assert not world.context.poller.receivable[connection.fd]


def test_input_received_before_a_pause_is_executed_after_it(world: World) -> None:
    """The first event of the batch makes a large reply for the second client, which is paused. The
    input of the second client was received already.
    """
    put_body(world)
    connection, theirs = pause(world)
    theirs.send(b"watch own\r\nignore default\r\nreserve\r\n")
    world.settle()
    _, producer = world.connect()
    producer.send(b"use own\r\nput 0 0 60 60000\r\n" + BODY)
    world.settle()
    producer.send(b"\r\n")
    theirs.send(b"use first\r\n")
    events = world.context.poller.poll()
    assert [received for _, _, received in events][-1] == b"use first\r\n"
    for fd, event, received in events:
        world.connections[fd].on_event(event, received)
    assert connection.life is Life.PAUSED and not world.receivable(connection)
    theirs.send(b"use second\r\n")
    world.settle()
    heard = world.hear(theirs, 5 * len(FOUND))
    assert heard.endswith(BODY + b"\r\nUSING first\r\nUSING second\r\n")
    assert heard.startswith(FOUND * 4 + b"WATCHING 2\r\nWATCHING 1\r\nRESERVED 2 60000\r\n")
    assert world.receivable(connection)


def test_large_input_is_received_by_its_connection(world: World) -> None:
    """From then on, until a small amount arrives."""
    connection, theirs = world.connect()
    put = b"put 0 0 60 60000\r\n" + BODY + b"\r\n"
    theirs.send(put)
    world.settle()
    assert theirs.recv(99) == b"INSERTED 1\r\n" and not world.receivable(connection)
    theirs.send(put)
    assert [received for _, _, received in world.context.poller.poll()] == [None]
    connection.on_event(READABLE, None)
    world.settle()
    assert theirs.recv(99) == b"INSERTED 2\r\n"
    theirs.send(ASK)
    world.settle()
    assert theirs.recv(99) == ANSWER and world.receivable(connection)


def test_commands_that_fill_the_limit_are_all_executed(world: World) -> None:
    _, theirs = world.connect()
    count = BATCHED_BYTES // len(ASK)
    assert count * len(ASK) == BATCHED_BYTES
    theirs.send(ASK * count)
    expected = ANSWER * count
    assert world.hear(theirs, len(expected)) == expected
    theirs.send(ASK * (count + 1))
    assert world.hear(theirs, len(expected) + 1) == expected + ANSWER


class Unjoinable(bytes):
    """There is no memory for this and more bytes in one piece."""

    def __add__(self, other: object) -> bytes:
        raise MemoryError


@pytest.mark.sources
def test_lack_of_memory_loses_no_rest_of_large_input(world: World) -> None:
    connection, theirs = world.connect()
    theirs.send(b"use b\r\n")
    first = b"use aa\r\n" * (BATCHED_BYTES // 8)
    connection.on_event(READABLE, Unjoinable(first))
    theirs.send(b"use c\r\n")
    expected = b"USING aa\r\n" * (BATCHED_BYTES // 8) + b"USING b\r\nUSING c\r\n"
    assert world.hear(theirs, len(expected)) == expected


def test_job_of_a_client_that_is_gone_goes_to_the_next_one(world: World) -> None:
    """The broken connection is found when the batch is sent; another iteration must follow."""
    dead, dead_s = world.connect()
    _, alive = world.connect()
    dead_s.send(b"reserve\r\n")
    world.settle()
    alive.send(b"reserve\r\n")
    world.settle()
    _, producer = world.connect()
    producer.send(b"put 0 0 60 1\r\nx\r\n")
    dead_s.close()
    for fd, event, received in world.context.poller.poll():
        if fd != dead.fd:  # its event comes later
            world.connections[fd].on_event(event, received)
    assert world.end_batch()
    assert dead.gone and not world.context.outbox.empty
    world.settle()
    assert alive.recv(99) == b"RESERVED 1 1\r\nx\r\n"
    assert producer.recv(99) == b"INSERTED 1\r\n"


def test_error_of_a_batched_receive_closes_the_connection(world: World) -> None:
    connection, _ = world.connect()
    connection.on_event(1, 11)  # EAGAIN
    assert not connection.gone
    connection.on_event(1, 104)  # ECONNRESET
    assert connection.gone


def test_reply_of_a_paused_connection_waits_for_earlier_ones(world: World) -> None:
    """In one batch, a reply is left to the end of the batch, and then the connection is paused."""
    connection, theirs = world.connect()
    connection.queued = 2
    connection.deliver(b"1")
    connection._become(Life.PAUSED)
    connection.deliver(b"2")
    assert theirs.recv(9) == b"12" and connection.queued == 0


class NoMemoryOnce:
    """In place of a function of the extension."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.calls = 0

    def __call__(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise MemoryError
        return self.result


@pytest.mark.sources
def test_receive_is_repeated_with_the_memory_reserve(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = MemoryReserve()
    memory.hold()
    monkeypatch.setattr(poller, "receive_ready", NoMemoryOnce([(1, 2, b"x")]))
    monkeypatch.setattr(poller, "BUILT", True)
    assert (Poller(memory).poll(), memory.short) == ([(1, 2, b"x")], True)


@pytest.mark.sources
def test_send_is_repeated_with_the_memory_reserve(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    memory = MemoryReserve()
    memory.hold()
    monkeypatch.setattr(sends, "send_all", NoMemoryOnce((0, 1)))
    monkeypatch.setattr(sends, "BUILT", True)
    connection, theirs = world.connect()
    batch = Sends(memory)
    batch.items.append((connection.fd, b"12", connection))
    assert batch.send() and theirs.recv(9) == b"2" and memory.short


@pytest.mark.sources
def test_lack_of_memory_without_the_extension_is_an_error(
    monkeypatch: pytest.MonkeyPatch, world: World
) -> None:
    """Events may be lost, so the process must end."""
    monkeypatch.setattr(poller, "receive_ready", NoMemoryOnce([]))
    monkeypatch.setattr(sends, "send_all", NoMemoryOnce(None))
    for module in (poller, sends):
        monkeypatch.setattr(module, "BUILT", False)
    replies = Sends(MemoryReserve())
    connection, _ = world.connect()
    replies.items.append((connection.fd, b"1", connection))
    for call in (Poller(MemoryReserve()).poll, replies.send):
        with pytest.raises(MemoryError):
            call()
