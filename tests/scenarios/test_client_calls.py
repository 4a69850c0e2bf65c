"""Every call of a real client library works."""

from __future__ import annotations

from typing import Any

import greenstalk
import pytest
from greenstalk import (
    BadFormatError,
    Client,
    DeadlineSoonError,
    JobTooBigError,
    NotFoundError,
    NotIgnoredError,
    TimedOutError,
)
from testkit.daemon import Daemon

CALLS = {
    name for name in vars(Client) if not name.startswith("_") and callable(getattr(Client, name))
}


class RecordingClient:
    """A client that records which of its calls were made."""

    def __init__(self, real: Client[str]) -> None:
        self._real = real
        self._called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self._called.add(name)
        return getattr(self._real, name)


def test_every_call(fresh: Daemon) -> None:
    client = RecordingClient(Client(fresh.address))
    client.use("mails")
    assert client.using() == "mails"
    assert client.watch("mails") == 2
    assert client.ignore("default") == 1
    assert client.watching() == ["mails"]
    assert client.tubes() == ["default", "mails"]

    first = client.put("one", priority=5, delay=0, ttr=60)
    second = client.put("two", priority=4, delay=1000, ttr=120)
    assert (client.peek(first).body, client.peek_ready().id, client.peek_delayed().id) == (
        "one",
        first,
        second,
    )

    job = client.reserve()
    assert (job.id, job.body) == (first, "one")
    client.touch(job)
    client.release(job, priority=7)
    assert client.stats_job(first)["pri"] == 7
    job = client.reserve(timeout=0)
    client.bury(job, priority=8)
    assert client.peek_buried().id == first
    assert client.kick(5) == 1
    client.kick_job(second)
    job = client.reserve_job(second)
    assert job.body == "two"
    assert client.stats_job(job)["time-left"] in (119, 118)
    client.delete(job)
    client.delete(first)

    client.pause_tube("mails", 1000)
    stats = client.stats_tube("mails")
    assert (stats["name"], stats["pause"], stats["total-jobs"], stats["cmd-delete"]) == (
        "mails",
        1000,
        2,
        2,
    )
    assert client.stats()["total-jobs"] == 2
    client.close()
    assert client._called == CALLS


def test_stats_have_the_keys_that_clients_expect(daemon: Daemon) -> None:
    with Client(daemon.address) as client:
        id = client.put("x")
        assert set(client.stats()) == set(greenstalk.Stats.__annotations__)
        assert set(client.stats_job(id)) == set(greenstalk.StatsJob.__annotations__)
        assert set(client.stats_tube("default")) == set(greenstalk.StatsTube.__annotations__)


def test_errors_raise_the_exceptions_of_the_client(daemon: Daemon) -> None:
    with Client(daemon.address) as client:
        with pytest.raises(TimedOutError):
            client.reserve(timeout=0)
        with pytest.raises(NotFoundError):
            client.peek_ready()
        with pytest.raises(NotFoundError):
            client.delete(12345)
        with pytest.raises(NotIgnoredError):
            client.ignore("default")
        with pytest.raises(BadFormatError):
            client.use("not a name")
        with pytest.raises(JobTooBigError):
            client.put("x" * 65536)
        client.put("x", ttr=1)
        client.reserve()
        with pytest.raises(DeadlineSoonError):
            client.reserve()
