"""How connections end, and what becomes of what they held."""

from __future__ import annotations

import pytest

from tests.beanstalkd_py.conftest import Start
from tests.beanstalkd_py.live import wait_until


@pytest.mark.parametrize("at", ["unix", "127.0.0.1"])
def test_a_job_finds_its_worker_behind_hundreds_that_are_gone(start: Start, at: str) -> None:
    """The server learns of each dead one only when it hands it the job."""
    daemon = start(**({} if at == "unix" else {"at": at}))
    producer = daemon.client()
    dead = [daemon.client() for _ in range(500)]
    for worker in dead:
        worker.say(b"reserve\r\n")
    alive = daemon.client()
    alive.say(b"reserve\r\n")
    wait_until(lambda: producer.stat(b"current-waiting") == b"501", "all wait")
    with daemon.held():
        producer.say(b"put 0 0 60 1\r\nx\r\n")
        for worker in dead:
            worker.close() if at == "unix" else worker.reset()
    assert alive.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    assert producer.hear() == [b"INSERTED 1\r\n"]
    assert producer.stat(b"current-connections") == b"2"
    assert daemon.said() == ""
