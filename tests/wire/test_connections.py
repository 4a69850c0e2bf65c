"""What transcripts cannot test: packets, clients that do not read or disconnect, and memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from testkit import proc
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.replies import split_replies

from .reference import need_c_server
from .servers import Kind

MEGABYTE = 1 << 20
KINDS = [Kind("tcp"), Kind("unix and log", unix=True, logged=True), Kind("c", is_c=True)]
OURS = KINDS[:2]


@pytest.fixture
def daemon(kind: Kind) -> Iterator[Daemon]:
    if kind.is_c:
        kind = Kind(kind.name, (need_c_server(),), is_c=True)
    with kind.running({}) as daemon:
        yield daemon


def connect(daemon: Daemon) -> Client:
    return Client(daemon.connect())


def read(client: Client, count: int) -> list[bytes]:
    """Exactly that many replies, and no further byte."""
    replies = client.hear(count)
    assert len(replies) == count, f"the server closed after {len(replies)} of {count} replies"
    assert client.unread() == b""
    return replies


def ask(client: Client, line: bytes) -> bytes:
    client.say(line + b"\r\n")
    return read(client, 1)[0]


def resident(daemon: Daemon) -> int:
    return proc.resident_bytes(daemon.pid)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_reply_and_body_arrive_together(daemon: Daemon) -> None:
    """Some clients call recv only once."""
    with connect(daemon) as client:
        client.say(b"put 0 0 60 1000\r\n" + b"x" * 1000 + b"\r\n")
        assert client.socket.recv(4096) == b"INSERTED 1\r\n"
        client.say(b"reserve\r\n")
        assert client.socket.recv(4096) == b"RESERVED 1 1000\r\n" + b"x" * 1000 + b"\r\n"
        for question in (b"stats", b"stats-job 1", b"stats-tube default", b"list-tubes"):
            client.say(question + b"\r\n")
            assert len(split_replies(client.socket.recv(4096))) == 1


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_slow_reader_blocks_nobody_and_gets_all_replies(daemon: Daemon) -> None:
    count = 200
    body = b"x" * 60_000
    with connect(daemon) as lazy, connect(daemon) as other:
        assert ask(lazy, b"put 0 0 60 60000\r\n" + body) == b"INSERTED 1\r\n"
        lazy.say(b"peek 1\r\n" * count + b"put 0 0 60 4\r\nlast\r\n")
        for _ in range(10):
            assert ask(other, b"list-tube-used") == b"USING default\r\n"
        replies = read(lazy, count + 1)
        assert set(replies[:count]) == {b"FOUND 1 60000\r\n" + body + b"\r\n"}
        assert replies[count] == b"INSERTED 2\r\n"


@pytest.mark.parametrize("kind", OURS, ids=str)
def test_slow_reader_costs_bounded_memory(daemon: Daemon) -> None:
    body = b"x" * 60_000
    with connect(daemon) as lazy, connect(daemon) as other:
        assert ask(lazy, b"put 0 0 60 60000\r\n" + body) == b"INSERTED 1\r\n"
        before = resident(daemon)
        lazy.say(b"peek 1\r\n" * 2000)  # 120 MB of replies
        ask(other, b"list-tube-used")
        assert resident(daemon) - before < 16 * MEGABYTE


@pytest.mark.parametrize("kind", OURS, ids=str)
def test_oversized_body_is_not_buffered(daemon: Daemon) -> None:
    size = 24 * MEGABYTE
    with connect(daemon) as client:
        ask(client, b"list-tube-used")
        before = resident(daemon)
        client.say(b"put 0 0 60 %d\r\n" % size)
        for _ in range(24):
            client.say(b"x" * MEGABYTE)
        assert resident(daemon) - before < 8 * MEGABYTE
        assert ask(client, b"") == b"JOB_TOO_BIG\r\n"
        assert ask(client, b"list-tube-used") == b"USING default\r\n"


@pytest.mark.parametrize("kind", OURS, ids=str)
def test_endless_line_is_not_buffered(daemon: Daemon) -> None:
    with connect(daemon) as client:
        ask(client, b"list-tube-used")
        before = resident(daemon)
        for _ in range(24):
            client.say(b"x" * MEGABYTE)
        assert resident(daemon) - before < 8 * MEGABYTE
        assert ask(client, b"") == b"BAD_FORMAT\r\n"
        assert ask(client, b"list-tube-used") == b"USING default\r\n"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_broken_connection_releases_its_jobs(daemon: Daemon) -> None:
    with connect(daemon) as other:
        breaks = connect(daemon)
        assert ask(breaks, b"put 0 0 60 1\r\nx") == b"INSERTED 1\r\n"
        assert ask(breaks, b"reserve") == b"RESERVED 1 1\r\nx\r\n"
        other.say(b"reserve-with-timeout 300\r\n")
        if breaks.socket.family != socket.AF_UNIX:
            breaks.reset()
        breaks.close()
        assert read(other, 1) == [b"RESERVED 1 1\r\nx\r\n"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_job_of_a_client_reset_with_unread_replies_is_ready(
    daemon: Daemon,
) -> None:
    with connect(daemon) as other:
        assert ask(other, b"put 0 0 60 1\r\nx") == b"INSERTED 1\r\n"
        breaks = connect(daemon)
        breaks.say(b"reserve\r\n" + b"stats\r\n" * 5000)
        assert breaks.socket.recv(10) == b"RESERVED 1"
        breaks.close()
        assert ask(other, b"reserve-with-timeout 300") == b"RESERVED 1 1\r\nx\r\n"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_many_clients_connect_and_close(daemon: Daemon) -> None:
    clients = [connect(daemon) for _ in range(200)]
    for client in clients:
        client.say(b"reserve-with-timeout 300\r\n")
    with connect(daemon) as other:
        for number in range(200):
            assert ask(other, b"put 0 0 60 3\r\n%03d" % number) == b"INSERTED %d\r\n" % (number + 1)
        got = {reply for client in clients for reply in read(client, 1)}
        assert got == {b"RESERVED %d 3\r\n%03d\r\n" % (number + 1, number) for number in range(200)}
        for client in clients:
            client.close()
        for _ in range(200):
            assert ask(other, b"reserve-with-timeout 300").startswith(b"RESERVED ")
