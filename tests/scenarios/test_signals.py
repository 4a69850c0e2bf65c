"""What operators do with signals."""

from __future__ import annotations

import signal
import time

import greenstalk
import pytest
from greenstalk import DrainingError
from testkit.daemon import Daemon

from .people import PATIENCE, client


def wait_until_it_drains(client: greenstalk.Client[str]) -> None:
    give_up_at = time.monotonic() + PATIENCE
    while client.stats()["draining"] != "true":
        assert time.monotonic() < give_up_at, "SIGUSR1 did not bring the daemon to drain"


def test_a_draining_daemon_lets_workers_finish(daemon: Daemon) -> None:
    with client(daemon) as producer, client(daemon) as worker:
        producer.put("last")
        daemon.send_signal(signal.SIGUSR1)
        wait_until_it_drains(producer)
        with pytest.raises(DrainingError):
            producer.put("too late")
        worker.delete(worker.reserve(timeout=PATIENCE))
        assert daemon.is_up()


def test_drain_is_heard_while_the_daemon_still_starts(durable: Daemon) -> None:
    """It listens before it has read its log; a signal that comes then must not kill it."""
    for _ in range(5):
        durable.stop(signal.SIGTERM)
        durable.launch().wait_listening()
        durable.send_signal(signal.SIGUSR1)
        with client(durable) as producer:
            wait_until_it_drains(producer)


def test_a_restart_ends_drain_mode(durable: Daemon) -> None:
    durable.send_signal(signal.SIGUSR1)
    durable.stop(signal.SIGTERM)
    durable.start()
    with client(durable) as producer:
        producer.put("welcome again")
