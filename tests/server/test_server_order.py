"""The server keeps the order of the clients' actions, also if one poll batch has them all."""

from __future__ import annotations

import pytest
from testkit.start import Start


def test_jobs_are_free_for_commands_sent_after_the_close(start: Start) -> None:
    daemon = start()
    holder, asker = daemon.client(), daemon.client()
    holder.say(b"put 0 0 60 1\r\nx\r\nreserve\r\n")
    holder.hear(2)
    with daemon.stopped():
        holder.close()
        asker.say(b"reserve-with-timeout 0\r\n")
    assert asker.hear() == [b"RESERVED 1 1\r\nx\r\n"]


def test_stats_count_connections_as_of_the_command(start: Start) -> None:
    daemon = start()
    asker = daemon.client()
    assert asker.stat(b"current-connections") == b"1"
    with daemon.stopped():
        other = daemon.client()
        asker.say(b"stats\r\n")
    assert b"\ncurrent-connections: 2\n" in asker.hear()[0]
    with daemon.stopped():
        other.close()
        asker.say(b"stats\r\n")
    assert b"\ncurrent-connections: 1\n" in asker.hear()[0]
    other = daemon.client()
    other.ask(b"list-tube-used\r\n")
    total = int(asker.stat(b"total-connections"))
    with daemon.stopped():
        other.close()
        another = daemon.client()
        asker.say(b"stats\r\n")
    stats = asker.hear()[0]
    assert (
        b"\ncurrent-connections: 2\n" in stats
        and b"\ntotal-connections: %d\n" % (total + 1) in stats
    )
    another.close()


@pytest.mark.parametrize(
    "environ",
    [{}, {"GEVENT_LOOP": "libuv", "GEVENT_BACKEND": "select"}],
    ids=["", "whatever the environment says"],
)
@pytest.mark.parametrize("at", ["unix", "127.0.0.1"])
def test_jobs_are_numbered_in_the_order_of_the_puts(
    start: Start, at: str, environ: dict[str, str]
) -> None:
    daemon = start(environ=environ, **({} if at == "unix" else {"at": at}))
    clients = [daemon.client() for _ in range(100)]  # more than gevent's loop reads at once
    for number, client in enumerate(clients, 1):
        client.ask(b"use %d\r\n" % number)  # accepted, each of them
    with daemon.stopped():
        for client in clients:
            client.say(b"put 0 0 60 1\r\nx\r\n")
    assert [client.hear() for client in clients] == [
        [b"INSERTED %d\r\n" % id] for id in range(1, 101)
    ]
