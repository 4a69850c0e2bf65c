"""Policies of tubes in the log."""

from __future__ import annotations

import pytest
from simulation.disk import MemoryDisk

from beanstalkd_py.binlog.records import TubePolicy, decode, encode
from beanstalkd_py.binlog.usage import LENGTH_FIELD
from beanstalkd_py.queue.policy import NO_POLICY, Policy
from tests.binlog.daemon import Daemon

POLICY = Policy(3, b"dead")


def test_record_has_both_tubes() -> None:
    record = TubePolicy(b"work", Policy(3, b"dead"))
    data = encode(record)
    assert len(data) == 8 + len(b"work") + len(b"dead") and decode(data) == record
    for bad in (data[:-1], data + b"x", encode(record._replace(tube=b""))):
        with pytest.raises(ValueError, match="tube name"):
            decode(bad)


def test_record_with_limits_has_all_of_them() -> None:
    record = TubePolicy(b"work", Policy(3, b"dead", 1, (1 << 64) - 1, 2, 4))
    data = encode(record)
    assert len(data) == 32 + len(b"work") + len(b"dead") and decode(data) == record
    for bad in (data[:-1], data + b"x"):
        with pytest.raises(ValueError, match="tube name"):
            decode(bad)
    with pytest.raises(ValueError, match="no record of kind 14"):
        decode(data[:20])


def test_live_bytes_are_those_of_the_latest_record() -> None:
    usage = (daemon := Daemon("/log", fs=MemoryDisk())).binlog.usage
    for policy in (Policy(1, b"d" * 200), POLICY):
        daemon.queue.set_policy(b"work", policy)
    assert usage.live == len(encode(TubePolicy(b"work", POLICY))) + LENGTH_FIELD
    daemon.queue.set_policy(b"work", NO_POLICY)
    assert usage.live == 0 and not daemon.queue.policies


def test_policy_of_a_retired_segment_is_written_again() -> None:
    """Twice, and it is counted each time."""
    disk = MemoryDisk()
    daemon = Daemon("/log", fs=disk)
    daemon.queue.set_policy(b"work", POLICY)
    daemon.turn()
    for _ in range(2):
        daemon = daemon.restarted("/log", fs=disk)  # seals the segment
        live = daemon.binlog.usage.live
        while daemon.binlog.usage.sealed:
            assert daemon.binlog.compactor.step(1 << 20)
        daemon.turn()
        assert daemon.binlog.usage.live == live > 0
    assert daemon.restarted("/log", fs=disk).queue.policies == {b"work": POLICY}
