"""A worker that ends with each job, on a server that is killed in between: after its last attempt
the job stands in the dead tube, and stays there.
"""

from __future__ import annotations

import pytest
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.waiting import wait_until

MOST = 3  # attempts


def deliver(daemon: Daemon) -> Client | None:
    """The worker, with the job; None if there is no job."""
    worker = Client(daemon.connect())
    worker.ask(b"watch mail\r\n")
    reply = worker.ask(b"reserve-with-timeout 0\r\n")
    assert reply in (b"RESERVED 1 4\r\nbody\r\n", b"TIMED_OUT\r\n")
    if reply.startswith(b"RESERVED"):
        return worker
    worker.close()
    return None


def end(worker: Client, daemon: Daemon) -> None:
    """The worker ends, and the server knows it."""
    worker.reset()
    with Client(daemon.connect()) as client:
        wait_until(lambda: client.stats(b"stats-job 1")["state"] != "reserved", "it is noticed")


def restart(daemon: Daemon) -> None:
    daemon.kill()
    daemon.start()


@pytest.mark.parametrize(("by", "held"), [("policy", 0), ("job", 1)])
def test_job_that_ends_its_workers_stands_in_the_dead_tube(
    daemon: Daemon, by: str, held: int
) -> None:
    """held: how many of the kills come while a worker has the job. Each may hide one attempt."""
    daemon.start()
    with Client(daemon.connect()) as client:
        most = b"max-attempts=%d " % MOST if by == "policy" else b""
        assert client.ask(b"set-tube mail %bdead-tube=lost\r\n" % most) == b"TUBE_SET\r\n"
        attempts = 0 if by == "policy" else MOST
        put = b"put-with 0 0 60 4 tube=mail attempts=%d\r\nbody\r\n" % attempts
        assert client.ask(put) == b"INSERTED 1\r\n"
    deliveries = kills = 0
    while (worker := deliver(daemon)) is not None:
        deliveries += 1
        assert deliveries <= MOST + held
        if kills < held:
            kills += 1
            restart(daemon)
            worker.close()
        else:
            end(worker, daemon)
            restart(daemon)
    assert deliveries >= MOST
    restart(daemon)
    with Client(daemon.connect()) as client:
        client.ask(b"capabilities\r\n")
        found = client.stats(b"stats-job 1")
        shown = [found[key] for key in ("tube", "state", "origin", "reason")]
        assert shown == ['"lost"', "ready", '"mail"', "attempts"]
        assert client.stat(b"current-jobs-ready") == b"1"
