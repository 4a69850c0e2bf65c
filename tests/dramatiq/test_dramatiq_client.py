"""greenstalk's client with the commands that the broker needs."""

from __future__ import annotations

import io

import greenstalk
import pytest
from dramatiq.errors import ConnectionClosed

from beanstalkd_py.dramatiq.client import Client


def test_interrupted_command_closes_the_connection(client: Client) -> None:
    """The next command would take the reply that was not read for its own."""
    with pytest.raises(KeyboardInterrupt), client.in_step():
        client._sock.sendall(b"ping\r\n")
        raise KeyboardInterrupt
    with pytest.raises(ConnectionClosed), client.in_step():
        client.stats()


def test_error_reply_keeps_the_connection(client: Client) -> None:
    with pytest.raises(greenstalk.NotFoundError), client.in_step():
        client.peek(10**12)
    with client.in_step():
        assert client.stats()["version"]


@pytest.mark.parametrize("received", [b"", b"OK 9", b"OK 9\r\n---", b"OK x\r\n"])
def test_incomplete_reply_is_a_lost_connection(client: Client, received: bytes) -> None:
    client._reader = io.BytesIO(received)
    with pytest.raises(ConnectionClosed), client.in_step():
        client.stats()
    assert client._sock.fileno() == -1
