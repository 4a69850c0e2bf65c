"""The short form of `make load`, and faults that it must detect."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from killtest.conversation import Conversation, put
from killtest.fault import Fault
from load import process_metrics
from load.job_cycles import check_growth
from load.process_metrics import check_idle, check_memory, idle_metrics
from load.scale import LONG, SHORT, SPARE, within
from load.scenarios import LOADS, raise_limit, run
from testkit import waiting
from testkit.daemon import INSTALLED, Daemon

SEED = 1
Expect = Callable[..., None]


# `make load` runs each of them without a log, too. Most of them are about connections.
RUNS = [*((name, True) for name in LOADS), ("large-bodies", False)]


@pytest.mark.parametrize(("name", "with_log"), RUNS)
def test_load(name: str, with_log: bool) -> None:
    assert run(name, within(SHORT, raise_limit()), SEED, with_log).startswith(name)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon(program=INSTALLED) as daemon:
        yield daemon.start()


def test_idle_server_passes(daemon: Daemon) -> None:
    check_idle(daemon, idle_metrics(daemon))


@pytest.fixture
def expect_fault(monkeypatch: pytest.MonkeyPatch) -> Expect:
    """Sets the fault that ends a wait once it was seen in so many polls. It is permanent, so a
    longer wait is useless. Another state is waited for as usual, however slow the machine is.
    """

    def expect(fault: str, polls: int = 3) -> None:
        def wait_until(condition: Callable[[], bool], actual: Callable[[], object]) -> None:
            seen = 0

            def ends() -> bool:
                nonlocal seen
                if condition():
                    return True
                shown = str(actual())
                seen = seen + 1 if re.search(fault, shown) else 0
                if seen == polls:
                    raise Fault(shown)
                return False

            waiting.wait_until(ends, actual, error=Fault)

        monkeypatch.setattr(process_metrics, "wait_until", wait_until)

    return expect


def test_open_connection_is_detected(daemon: Daemon, expect_fault: Expect) -> None:
    before = idle_metrics(daemon)
    expect_fault("2 sockets, not 1")
    with daemon.connect(), pytest.raises(Fault, match="2 sockets, not 1"):
        check_idle(daemon, before)


def test_remaining_job_is_detected(daemon: Daemon) -> None:
    before = idle_metrics(daemon)
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"left"))
    with pytest.raises(Fault, match="'current-jobs-ready': '1'"):
        check_idle(daemon, before)


def test_memory_not_returned_is_detected(daemon: Daemon, expect_fault: Expect) -> None:
    before = idle_metrics(daemon)
    expect_fault("MiB, not")
    with Conversation(daemon.connect()) as client:
        for _ in range(40):
            client.ask(*[put(bytes(50_000))] * 20)
    with pytest.raises(Fault, match="MiB, not"):
        check_memory(daemon.process.pid, before)


BROKEN_SERVER = """
import sys
from beanstalkd_py import cli
from beanstalkd_py.server import server

end_of_batch = server.Server._end_of_batch

def busy(self):
    end_of_batch(self)
    self._stay_awake(True)

def noisy(self):
    end_of_batch(self)
    sys.stderr.write("unexpected")
    sys.stderr.flush()

server.Server._end_of_batch = {"busy": busy, "noisy": noisy}[sys.argv.pop(1)]
sys.exit(cli.main(sys.argv))
"""


@pytest.mark.sources
@pytest.mark.parametrize(
    ("fault", "message"), [("busy", "ticks of CPU"), ("noisy", "stderr: 'unexpected")]
)
def test_server_that_is_never_idle_is_detected(
    tmp_path: Path, fault: str, message: str, expect_fault: Expect
) -> None:
    (tmp_path / "broken.py").write_text(BROKEN_SERVER)
    with Daemon(program=(sys.executable, str(tmp_path / "broken.py"), fault)) as daemon:
        daemon.start()
        before = idle_metrics(daemon)
        expect_fault(message, polls=1)  # two seconds, in which it computes
        with pytest.raises(Fault, match=message):
            check_idle(daemon, before)


def test_connections_are_limited_by_descriptors() -> None:
    assert within(LONG, 1 << 20) == LONG
    assert within(LONG, 2000).idle == 2000 - LONG.busy - SPARE
    assert within(LONG, 100).idle == 0
    assert os.sysconf("SC_OPEN_MAX") > SHORT.idle + SHORT.busy + SPARE


def test_memory_growth_over_cycles_is_detected() -> None:
    check_growth([40, 45, 74, 48, 54, 88, 51, 54, 54, 50])
    with pytest.raises(Fault, match="grows"):
        check_growth([40, 45, 74, 51, 54, 88, 60, 64, 84, 70])
