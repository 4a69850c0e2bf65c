"""--max-memory: the bytes of all jobs, and puts that would exceed the limit."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from testkit.queue_server import QueueServer

from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue.memory import (
    JOB_BYTES,
    NO_LIMIT,
    PUTS_A_PROBE,
    SMALL_BODY,
    UNASKED_BYTES,
)

OUT = b"OUT_OF_MEMORY\r\n"
ROOM = 400_000


def counted(server: QueueServer) -> int:
    """What the jobs take, counted one by one."""
    return sum(len(job.body) + JOB_BYTES for job in server.queue.jobs.values())


def put(server: QueueServer, client: Session, nbytes: int, delay: int = 0) -> bytes:
    return server.say(client, b"put 0 %d 60 %d" % (delay, nbytes), bytes(nbytes))


@pytest.fixture
def server() -> QueueServer:
    return QueueServer()


@pytest.mark.parametrize("sizes", [(0, 1), (2048,), (0, 2048, 2049), (3000, 10), (60_000, 1)])
def test_puts_stop_exactly_at_the_limit(server: QueueServer, sizes: tuple[int, ...]) -> None:
    """No put exceeds the limit, and the refused put would have, in any order of sizes."""
    client, memory, rng = server.session(), server.queue.memory, random.Random(1)
    memory.set_limit(ROOM)
    while True:
        nbytes = rng.choice(sizes)
        used = memory.used
        refused = put(server, client, nbytes) == OUT
        assert refused is (used + nbytes + JOB_BYTES > ROOM)
        if refused:
            break
    assert memory.used == counted(server) <= ROOM
    assert memory.over_limit == 1 and not memory.refused and not memory.short


def test_small_puts_stop_at_the_limit_after_large_ones(server: QueueServer) -> None:
    client, memory = server.session(), server.queue.memory
    memory.set_limit(ROOM)
    for nbytes in (1, *[60_000] * 6):
        assert put(server, client, nbytes).startswith(b"INSERTED")
    while put(server, client, 1) != OUT:
        assert memory.used <= ROOM
    assert memory.used + 1 + JOB_BYTES > ROOM


def test_delete_makes_room_for_a_put(server: QueueServer) -> None:
    client = server.session()
    server.queue.memory.set_limit(3 * (10 + JOB_BYTES))
    assert [put(server, client, 10, delay) for delay in (0, 5, 0, 0)][-1] == OUT
    for id in 2, 3:
        assert server.say(client, b"reserve-job %d" % id).startswith(b"RESERVED")
        assert server.say(client, b"delete %d" % id) == b"DELETED\r\n"
        assert put(server, client, 10).startswith(b"INSERTED")
        assert put(server, client, 10) == OUT
    assert server.queue.memory.used == counted(server)


def test_body_in_pieces_is_thrown_away_from_its_beginning(server: QueueServer) -> None:
    client, other = server.session(), server.session()
    server.queue.memory.set_limit(5000)
    client.receive(b"put 0 0 60 6000\r\n" + bytes(3000), server.now)
    assert client.parser.buffered == 0
    assert put(server, other, 10).startswith(b"INSERTED")
    client.receive(bytes(3000) + b"\r\nlist-tube-used\r\n", server.now)
    assert server.iterate()[client] == OUT + b"USING default\r\n"


def test_limit_reached_while_a_body_came(server: QueueServer) -> None:
    client, other = server.session(), server.session()
    server.queue.memory.set_limit(5000)
    client.receive(b"put 0 0 60 3000\r\n" + bytes(1000), server.now)
    assert put(server, other, 3000).startswith(b"INSERTED")
    client.receive(bytes(2000) + b"\r\n", server.now)
    assert server.iterate()[client] == OUT


def test_small_bodies_in_pieces_stop_at_the_limit(server: QueueServer) -> None:
    """Their ids are lower than those of puts that have asked already."""
    clients = [server.session() for _ in range(10)]
    first = clients[0]
    server.queue.memory.set_limit(8 * (10 + JOB_BYTES) + 2 * 5)  # the two last have 5 bytes then
    for client in clients:
        client.receive(b"put 0 0 60 10\r\n" + bytes(5), server.now)
    for client in reversed(clients):
        client.receive(bytes(5) + b"\r\n", server.now)
    replies = server.iterate()
    assert [replies[client] == OUT for client in clients] == [True] * 2 + [False] * 8
    assert server.say(first, b"delete 3") == b"DELETED\r\n"
    assert put(server, first, 10).startswith(b"INSERTED")
    assert put(server, first, 10) == OUT


# --- bodies that are being received


def test_received_bytes_count_until_the_body_is_complete(server: QueueServer) -> None:
    client, other, memory = server.session(), server.session(), server.queue.memory
    memory.set_limit(5000)
    client.receive(b"put 0 0 60 4000\r\n" + bytes(1000), server.now)
    client.receive(bytes(2000), server.now)
    assert memory.receiving == 3000
    assert put(server, other, 2000 - JOB_BYTES + 1) == OUT
    assert put(server, other, 2000 - JOB_BYTES).startswith(b"INSERTED")
    assert server.say(other, b"delete 3") == b"DELETED\r\n"
    client.receive(bytes(1000) + b"\r\n", server.now)
    assert server.iterate()[client].startswith(b"INSERTED")
    assert (memory.receiving, memory.used) == (0, 4000 + JOB_BYTES)


def test_bodies_together_stay_below_the_limit(server: QueueServer) -> None:
    """Each of them would fit. The one that reaches the limit is thrown away at once."""
    one, two, memory = server.session(), server.session(), server.queue.memory
    memory.set_limit(5000)
    for client, nbytes in (one, 1000), (two, 1000):
        client.receive(b"put 0 0 60 3000\r\n" + bytes(nbytes), server.now)
    one.receive(bytes(1900), server.now)
    assert (memory.receiving, memory.over_limit) == (3900, 0)
    two.receive(bytes(1101), server.now)
    assert (memory.receiving, memory.over_limit) == (2900, 1)
    assert not memory.refused and not memory.short, "there is memory"
    one.receive(bytes(100) + b"\r\n", server.now)
    two.receive(bytes(899) + b"\r\n", server.now)
    replies = server.iterate()
    assert (replies[one], replies[two]) == (b"INSERTED 1\r\n", OUT)
    assert memory.receiving == 0


def test_small_puts_stop_at_the_limit_while_a_body_comes(server: QueueServer) -> None:
    client, other, memory = server.session(), server.session(), server.queue.memory
    memory.set_limit(ROOM)
    assert put(server, other, 1).startswith(b"INSERTED")  # asks, for the next hundred
    client.receive(b"put 0 0 60 60000\r\n" + bytes(50_000), server.now)
    assert memory.receiving == 50_000
    while put(server, other, SMALL_BODY) != OUT:
        assert memory.used + memory.receiving <= ROOM
    assert memory.used + memory.receiving + SMALL_BODY + JOB_BYTES > ROOM


def end_well(server: QueueServer, client: Session) -> None:
    client.receive(bytes(50_000) + b"\r\n", server.now)


def end_without_line_end(server: QueueServer, client: Session) -> None:
    client.receive(bytes(50_002), server.now)


def end_connection(server: QueueServer, client: Session) -> None:
    client.lost(server.now)


def end_for_lack_of_memory(server: QueueServer, client: Session) -> None:
    client.parser._lose_body()


@pytest.mark.parametrize(
    "end", [end_well, end_without_line_end, end_connection, end_for_lack_of_memory]
)
def test_body_that_has_ended_counts_no_more(
    server: QueueServer, end: Callable[[QueueServer, Session], None]
) -> None:
    """Also without a limit, because a reload may set one."""
    client, memory = server.session(), server.queue.memory
    client.receive(b"put 0 0 60 60000\r\n" + bytes(10_000), server.now)
    assert memory.receiving == 10_000
    end(server, client)
    assert memory.receiving == 0


def test_new_limit_counts_at_once(server: QueueServer) -> None:
    client, memory = server.session(), server.queue.memory
    assert put(server, client, 10).startswith(b"INSERTED")
    memory.set_limit(500)
    assert put(server, client, 10) == OUT
    memory.set_limit(NO_LIMIT)
    assert put(server, client, 10).startswith(b"INSERTED")


def test_probes_stay_rare_far_from_the_limit(server: QueueServer) -> None:
    client, memory = server.session(), server.queue.memory
    probes = 0

    def allocate(nbytes: int) -> bytes:
        nonlocal probes
        probes += 1
        return b""

    memory.allocate = allocate
    memory.set_limit(100 * PUTS_A_PROBE * UNASKED_BYTES)
    for _ in range(3 * PUTS_A_PROBE):
        put(server, client, 1)
    assert probes == 3


def test_jobs_of_the_log_count(tmp_path: Path) -> None:
    server = QueueServer(tmp_path)
    client = server.session()
    for number in range(50):
        put(server, client, number, number % 3)
    for id in 1, 10, 20:
        server.say(client, b"delete %d" % id)
    used = server.queue.memory.used
    assert used == counted(server)
    server.binlog.close(0)
    again = QueueServer(tmp_path)
    assert again.queue.memory.used == used == counted(again)
    again.queue.memory.set_limit(used - 1)  # a start takes them all, but no put
    client = again.session()
    assert put(again, client, 0) == OUT
    assert again.say(client, b"delete 2") == b"DELETED\r\n"
    again.binlog.close(0)
