"""Noise from many clients at once, who come, go and break off as they like: not a word on stderr, and a sane server afterwards.

The seed is part of the test's name. `SERVER_NOISE=50 pytest tests/beanstalkd_py/test_server_noise.py` tries 50 seeds for each kind of server.
"""

from __future__ import annotations

import os
from contextlib import suppress
from random import Random

import pytest
from judge.noise import block

from tests.beanstalkd_py.conftest import Start
from tests.beanstalkd_py.live import Client, Daemon, wait_until

SEEDS = range(int(os.environ.get("SERVER_NOISE", "1")))
CLIENTS = 40
STEPS = 6000
STATES = (b"ready", b"reserved", b"delayed", b"buried")


def send_noise(rng: Random, daemon: Daemon) -> None:
    clients: list[Client] = []
    for _ in range(STEPS):
        if len(clients) < CLIENTS:
            clients.append(daemon.client())
            clients[-1].socket.setblocking(False)
        client = rng.choice(clients)
        with suppress(OSError):  # it does not take more, or has closed
            what = rng.random()
            if what < 0.80:
                client.socket.send(block(rng) if rng.random() < 0.9 else block(rng) * 50)
            elif what < 0.95:
                client.socket.recv(rng.choice([1, 1000, 1 << 18]))
            else:
                clients.remove(client)
                end = rng.choice(["half_close", "close", "reset"])
                getattr(client, end)()
    for client in clients:
        client.close()


def counts(client: Client) -> dict[bytes, int]:
    return {state: int(client.stat(b"current-jobs-" + state)) for state in STATES}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("at", "options"), [("127.0.0.1", []), (None, ["-b"]), ("127.0.0.1", ["-b", "-f", "20", "-VV"])], ids=["memory", "log", "window, traced"]
)
def test_the_server_stands_noise_from_many_clients(start: Start, log: str, seed: int, at: str | None, options: list[str]) -> None:
    rng = Random(f"{seed} {at} {options}")
    words = [word for option in options for word in ((option, log) if option == "-b" else (option,))]
    daemon = start("-z", "500", "-s", "65536", *words, **({"at": at} if at else {}))
    send_noise(rng, daemon)
    client = daemon.client()
    wait_until(lambda: client.stat(b"current-connections") == b"1", "they are gone")
    assert client.stat(b"current-waiting") == b"0"
    assert client.put(b"sane") > 100
    before = counts(client)
    assert before[b"reserved"] == 0
    if "-VV" not in options:
        assert daemon.said() == ""
    assert daemon.stop() == 0
    assert "Traceback" not in daemon.said()
    if "-b" in options:
        again = start("-b", log)
        after = counts(again.client())
        assert sum(after.values()) == sum(before.values())
        assert after[b"buried"] == before[b"buried"]
        assert again.said() == ""
