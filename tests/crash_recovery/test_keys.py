"""Unique keys over SIGKILL: the short form of `python -m killtest.keys`."""

from __future__ import annotations

from killtest.keys import Keys


def test_each_key_stands_once_over_kills(daemon, seed):
    keys = Keys(daemon, seed, clients=200)
    for _ in range(10):
        keys.round()
        if keys.killed_early == 2:
            break
    assert keys.killed_early
