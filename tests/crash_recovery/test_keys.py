"""Unique keys over SIGKILL: the short form of `python -m killtest.keys`."""

from __future__ import annotations

import socket
from collections import deque

from killtest import keys as module
from killtest.keys import Connection, Keys


def test_each_key_stands_once_over_kills(daemon, seed):
    keys = Keys(daemon, seed, clients=200)
    for _ in range(10):
        keys.round()
        if keys.killed_early == 2:
            break
    assert keys.killed_early


def test_kill_before_all_clients_have_sent(daemon, seed, monkeypatch):
    """The end of every connection is noticed, also of those that have sent nothing."""
    monkeypatch.setattr(module, "HANG_S", 0.0)
    connections = []
    for number in range(3):
        ours, theirs = socket.socketpair()
        theirs.close()
        connections.append(Connection(number, ours, deque([1])))
    Keys(daemon, seed)._talk(connections)
