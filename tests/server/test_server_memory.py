"""How much memory connected clients take, and that it is free after they disconnect."""

from __future__ import annotations

import resource
import sys

import pytest
from testkit.client import Client
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.server.memory import MAPPED_BYTES

ASK = b"list-tube-used\r\n"
ANSWER = b"USING default\r\n"
CLIENTS = 2000


@pytest.fixture
def many_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < CLIENTS + 500:
        pytest.skip(f"no more than {hard} descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def test_clients_cost_some_kilobytes_each(many_descriptors: None, start: Start) -> None:
    """That includes clients that once sent much."""
    daemon = start(at="127.0.0.1")
    before = daemon.rss_kb()
    clients = [daemon.client() for _ in range(CLIENTS)]
    for client in clients:
        client.say(ASK)
    assert all(client.hear() == [ANSWER] for client in clients)
    assert clients[0].stat(b"current-connections") == b"%d" % CLIENTS
    for client in clients[:200]:
        client.say(ASK * 4000)
        assert client.hear_bytes(4000 * len(ANSWER)) == ANSWER * 4000
    for client in clients[200:700]:
        client.say(b"put 0 0 60 50000\r\n" + b"x" * 10_000)
    assert int(clients[0].stat(b"cmd-put")) <= 500
    assert daemon.rss_kb() - before < CLIENTS * 5 + 500 * 12


def test_client_that_does_not_read_costs_little_memory(start: Start) -> None:
    """The server keeps the replies of one iteration and the unread ones, however many commands the
    client sends.
    """
    daemon = start(at="127.0.0.1")
    asking = daemon.client()
    asking.put(b"x" * 60_000)
    before = daemon.rss_kb()
    for _ in range(10):
        daemon.client().say(b"peek 1\r\n" * 500)
    asked = [b"0"]

    def stands_still() -> bool:
        asked.append(asking.stat(b"cmd-peek"))
        return asked[-1] != b"0" and asked[-9:] == asked[-1:] * 9

    wait_until(stands_still, "the server reads no more")
    assert int(asked[-1]) < 10 * 500
    assert daemon.rss_kb() - before < 10 * 1000


GARBAGE = """
import collections, gc, sys
from beanstalkd_py import cli

gc.set_debug(gc.DEBUG_SAVEALL)
status = cli.main(["kept", *sys.argv[1:]])
gc.unfreeze()
gc.collect()
ours = "Connection PlainTransport Session TracingSession Client Parser Job socket".split()
left = collections.Counter(type(each).__name__ for each in gc.garbage)
print({name: left[name] for name in ours if left[name]})
sys.exit(status)
"""


def come_and_go(client: Client, how: int) -> None:
    """Ends a client in one of several ways."""
    if how == 0:
        client.ask(b"put 0 0 60 1\r\nx\r\n")
    elif how == 1:
        client.say(b"reserve-with-timeout 0\r\nput 0 0 60 100\r\nx")
    elif how == 2:
        client.say(b"watch nothing\r\nignore default\r\nreserve\r\n" + ASK * 9000)
    elif how == 3:
        client.say(b"put 0 5 60 1\r\nx\r\nreserve-with-timeout 0\r\nquit\r\n")
        client.rest()
    elif how == 4:
        client.say(b"use gone\r\nreserve-with-timeout 0\r\nput 0 0 60 1\r\nx\r\n")
        client.half_close()
        client.rest()
    elif how == 5:
        client.say(b"stats\r\n" * 3000)
        client.socket.recv(1)
        client.reset()
        return
    client.close()


def test_closed_connection_leaves_no_cycle(start: Start) -> None:
    """Memory of a connection is freed when it closes, without the garbage collector."""
    daemon = start(at="127.0.0.1", program=(sys.executable, "-c", GARBAGE))
    for number in range(120):
        come_and_go(daemon.client(), number % 6)
    last = daemon.client()
    wait_until(lambda: last.stat(b"current-connections") == b"1", "they are gone")
    last.say(b"kick 1000\r\n" + b"".join(b"delete %d\r\n" % id for id in range(1, 200)))
    last.hear(200)
    assert daemon.stop() == 0
    assert daemon.said() == "{}\n"


def test_clients_that_come_and_go_leave_nothing(start: Start, log: str) -> None:
    daemon = start("-b", log, "-F", at="127.0.0.1")
    watcher = daemon.client()

    def round(count: int) -> tuple[int, int]:
        for number in range(count):
            come_and_go(daemon.client(), (0, 1, 3, 4)[number % 4])
        wait_until(lambda: watcher.stat(b"current-connections") == b"1", "they are gone")
        while (found := watcher.ask(b"peek-ready\r\n")).startswith(b"FOUND"):
            watcher.ask(b"delete " + found.split()[1] + b"\r\n")
        return daemon.rss_kb(), daemon.descriptors()

    rss, descriptors = round(500)
    rss_later, descriptors_later = round(1500)
    assert rss_later - rss < 1000
    assert abs(descriptors_later - descriptors) <= 3  # those of the log


def test_large_body_is_held_at_most_twice_while_it_arrives(start: Start) -> None:
    size = 60 << 20
    daemon = start("-z", str(size), at="127.0.0.1")
    client = daemon.client()
    body = b"x" * size
    before = daemon.rss_kb()
    assert client.put(body) == 1
    assert daemon.peak_kb() - before < 2.4 * size / 1024
    assert daemon.rss_kb() - before < 1.2 * size / 1024
    client.say(b"reserve\r\nquit\r\n")
    assert client.hear_bytes(size + 100) == b"RESERVED 1 %d\r\n%b\r\n" % (size, body)


def test_body_in_small_pieces_is_not_copied_again_and_again(start: Start) -> None:
    size = 3_000_000
    daemon = start("-z", str(size), at="127.0.0.1")
    clients = [daemon.client() for _ in range(4)]
    before = daemon.rss_kb()
    for client in clients:
        client.say(b"put 0 0 60 %d\r\n" % size)
    for _ in range(size // 1000):
        for client in clients:
            client.say(b"x" * 1000)
    # A body below MAPPED_BYTES may be moved once within the heap, which keeps the old place.
    moved = 4 * MAPPED_BYTES / 1024
    assert daemon.peak_kb() - before < 4 * 1.3 * size / 1024 + moved
    for client in clients:
        client.say(b"\r\n")
        assert client.hear()[0].startswith(b"INSERTED ")


def test_memory_of_large_bodies_is_reused(start: Start) -> None:
    """Without keep_free_heap, each body costs 15 page faults: its memory is given back, and taken
    again for the next one.
    """
    daemon = start(at="127.0.0.1")
    clients = [daemon.client() for _ in range(10)]

    def round() -> None:
        for client in clients:
            client.put(b"x" * 60_000)
        for client in clients:
            client.say(b"reserve\r\n")
        for client in clients:
            job = client.hear()[0].split()[1]
            client.ask(b"delete %b\r\n" % job)

    for _ in range(20):
        round()
    before = daemon.faults()
    for _ in range(50):
        round()
    assert daemon.faults() - before < 500
