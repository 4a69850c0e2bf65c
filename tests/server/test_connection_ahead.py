"""Clients that wait in reserve and send more input: the server reads it up to a limit, and still
notices a hang-up.
"""

from __future__ import annotations

import threading

import pytest
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until

from beanstalkd_py.server.connection import INPUT_LIMIT
from beanstalkd_py.server.transport import RECEIVE_BYTES

ASK = b"list-tube-used\r\n"
ANSWER = b"USING default\r\n"
BEYOND = (INPUT_LIMIT + RECEIVE_BYTES) // len(ASK) + 1  # more questions than the server reads
ASKS = 200_000  # 3.2 MB


@pytest.fixture(params=["unix", "127.0.0.1"])
def daemon(request: pytest.FixtureRequest, start: Start) -> Daemon:
    return start(**({} if request.param == "unix" else {"at": request.param}))


def ahead(daemon: Daemon, asks: int) -> tuple[Client, bytes]:
    """Returns a client that waits in reserve, and the bytes that it could not send. It has sent as
    many of the `asks` questions as the kernel takes.
    """
    client = daemon.client()
    left = b"reserve\r\n" + ASK * asks
    client.socket.settimeout(0.0)
    try:
        while left:
            left = left[client.socket.send(left) :]
    except BlockingIOError:
        pass
    client.socket.settimeout(HANG_S)
    return client, left


def test_input_ahead_of_a_reserve_costs_bounded_memory(daemon: Daemon) -> None:
    before = daemon.rss_kb()
    other = daemon.client()
    clients = [ahead(daemon, ASKS) for _ in range(8)]
    wait_until(lambda: other.stat(b"current-waiting") == b"8", "all wait")
    assert daemon.rss_kb() - before < 8 * 300 + 2000
    client, left = clients[0]
    sender = threading.Thread(target=client.say, args=(left,))
    sender.start()
    other.put(b"now")
    assert client.hear() == [b"RESERVED 1 3\r\nnow\r\n"]
    assert client.hear_bytes(ASKS * len(ANSWER)) == ANSWER * ASKS
    sender.join()
    assert daemon.rss_kb() - before < 8 * 300 + 4000


@pytest.mark.parametrize("end", ["half_close", "close", "reset"])
def test_hang_up_of_a_client_far_ahead_is_noticed(daemon: Daemon, end: str) -> None:
    client, other = daemon.client(), daemon.client()
    client.say(b"put 0 0 60 1\r\nx\r\nreserve\r\n")
    client.hear(2)
    client.say(b"reserve\r\n" + ASK * BEYOND)
    other.say(b"reserve\r\n")
    getattr(client, end)()
    assert other.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    if end == "half_close":  # its commands are executed, and only then its job is released
        assert client.rest() == b"TIMED_OUT\r\n" + ANSWER * BEYOND
    wait_until(lambda: other.stat(b"current-connections") == b"1", "it is gone")
    assert daemon.said() == ""


def test_clients_far_ahead_cost_no_descriptors(start: Start) -> None:
    """A hang-up is noticed without a free descriptor."""
    daemon = start("-z", "10", at="127.0.0.1", descriptors=64)
    clients = [daemon.client() for _ in range(60)]
    for client in clients[:30]:
        client.say(b"reserve\r\n")
        client.socket.sendall(ASK * BEYOND)
    other = clients[30]
    wait_until(lambda: other.stat(b"current-waiting") == b"30", "all wait")
    before = daemon.descriptors()
    for client in clients[:10]:
        client.half_close()
    wait_until(lambda: other.stat(b"current-waiting") == b"20", "their end is noticed")
    assert daemon.descriptors() <= before
    assert daemon.is_up()
