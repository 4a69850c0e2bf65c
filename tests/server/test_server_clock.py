"""Clocks of a real server: suspension, a wall clock that is set, a clock that is out of range."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from testkit.client import Client
from testkit.shifted_clocks import ShiftedClocks
from testkit.start import Start
from testkit.waiting import wait_until

from beanstalkd_py.server.server import WAIT_MAX_S, wait_s

SECOND = 1_000_000_000
HOUR_S = 3600
YEAR_S = 365 * 24 * HOUR_S


@pytest.fixture
def clocks(compiler: None) -> Iterator[ShiftedClocks]:
    with ShiftedClocks() as clocks:
        yield clocks


def left_s(client: Client, id: int) -> int:
    return int(client.stats(b"stats-job %d" % id)["time-left"])


def test_suspension_counts_for_delays_ttrs_and_pauses(start: Start, clocks: ShiftedClocks) -> None:
    daemon = start(environ=clocks.environment)
    client, holder = daemon.client(), daemon.client()
    held = client.put(b"held", ttr=HOUR_S // 2)
    holder.ask(b"reserve-job %d\r\n" % held)
    client.put(b"soon", delay=HOUR_S // 2)
    later = client.put(b"later", delay=2 * HOUR_S)
    client.ask(b"pause-tube default %d\r\n" % (HOUR_S // 2))
    clocks.suspend(HOUR_S)
    assert client.ask(b"reserve-with-timeout 0\r\n") == b"RESERVED 1 4\r\nheld\r\n"
    assert client.ask(b"reserve-with-timeout 0\r\n") == b"RESERVED 2 4\r\nsoon\r\n"
    assert HOUR_S - 300 < left_s(client, later) < HOUR_S


@pytest.mark.parametrize("left_ns", [SECOND, HOUR_S * SECOND, 1 << 100])
def test_loop_looks_at_the_clock_within_a_second(left_ns: int) -> None:
    assert wait_s(left_ns) == WAIT_MAX_S == 1.0
    assert (wait_s(SECOND // 2), wait_s(0), wait_s(-SECOND)) == (0.5, 0, 0)


def test_waiting_client_gets_its_job_after_suspension(start: Start, clocks: ShiftedClocks) -> None:
    """No event wakes the loop: it notices by itself that the delay is over."""
    daemon = start(environ=clocks.environment)
    daemon.client().put(delay=HOUR_S // 2)
    waiting, other = daemon.client(), daemon.client()
    waiting.say(b"reserve\r\n")
    wait_until(lambda: other.stat(b"current-waiting") == b"1", "the client waits")
    clocks.suspend(HOUR_S)
    assert waiting.hear() == [b"RESERVED 1 1\r\nx\r\n"]


def test_restored_times_are_not_longer_than_they_were(
    start: Start, log: str, clocks: ShiftedClocks
) -> None:
    """The wall clock was ten years ahead, and is set right while the server is down."""
    clocks.set_wall(10 * YEAR_S)
    daemon = start("-b", log, environ=clocks.environment)
    client = daemon.client()
    id = client.put(delay=HOUR_S)
    client.ask(b"pause-tube default %d\r\n" % HOUR_S)
    assert daemon.stop() == 0
    clocks.set_wall(0)
    client = start("-b", log, environ=clocks.environment).client()
    assert HOUR_S - 300 < left_s(client, id) < HOUR_S
    assert HOUR_S - 300 < int(client.stats(b"stats-tube default")["pause-time-left"]) < HOUR_S
    assert int(client.stats(b"stats-job %d" % id)["age"]) == 0


@pytest.mark.parametrize(
    ("years", "end"),
    [(114, signal.SIGKILL), (-100, signal.SIGTERM)],
    ids=["in 2140", "before 1970"],
)
def test_clock_out_of_range_is_no_error(
    start: Start, log: str, clocks: ShiftedClocks, years: int, end: signal.Signals
) -> None:
    largest = 0xFFFFFFFF
    clocks.set_wall(years * YEAR_S)
    daemon = start("-b", log, "-s", "65536", environ=clocks.environment)
    client = daemon.client()
    for delay in (largest, 0):
        client.put(pri=largest, delay=delay, ttr=largest)
    client.ask(b"reserve-job 1\r\n")
    assert client.ask(b"release 1 %d %d\r\n" % (largest, largest)) == b"RELEASED\r\n"
    assert client.ask(b"pause-tube default %d\r\n" % largest) == b"PAUSED\r\n"
    client.put(bytes(60_000))  # a new segment
    assert daemon.stop(end) == (0 if end == signal.SIGTERM else -end)
    assert daemon.errors() == ""
    daemon.start()
    assert daemon.client().stat(b"current-jobs-delayed") == b"1"
    assert daemon.client().stat(b"current-jobs-ready") == b"2"
    assert daemon.errors() == ""
