"""Signals from operators."""

from __future__ import annotations

import signal
import time

import greenstalk
import pytest
from greenstalk import DrainingError
from testkit.daemon import Daemon

from .workers import TIMEOUT_S, client


def wait_for_drain_mode(client: greenstalk.Client[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while client.stats()["draining"] != "true":
        assert time.monotonic() < deadline, "SIGUSR1 did not start drain mode"


def test_draining_server_lets_workers_finish(fresh: Daemon) -> None:
    with client(fresh) as producer, client(fresh) as worker:
        producer.put("last")
        fresh.send_signal(signal.SIGUSR1)
        wait_for_drain_mode(producer)
        with pytest.raises(DrainingError):
            producer.put("too late")
        worker.delete(worker.reserve(timeout=TIMEOUT_S))
        assert fresh.is_up()


def test_drain_signal_during_the_start_is_obeyed(durable: Daemon) -> None:
    """The server listens before replay has ended; a signal then must not kill it."""
    for _ in range(2):
        durable.stop(signal.SIGTERM)
        durable.launch().wait_listening()
        durable.send_signal(signal.SIGUSR1)
        with client(durable) as producer:
            wait_for_drain_mode(producer)


def test_restart_ends_drain_mode(durable: Daemon) -> None:
    durable.send_signal(signal.SIGUSR1)
    durable.stop(signal.SIGTERM)
    durable.start()
    with client(durable) as producer:
        producer.put("welcome again")
