"""The short form of `make load`; and that it would notice."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from killtest.conversation import Conversation, put
from killtest.daemon import Daemon
from killtest.world import Fault
from load import vitals
from load.comeandgo import check_growth
from load.scale import LONG, SHORT, SPARE, within
from load.scenarios import LOADS, raise_limit, run
from load.vitals import check_at_rest, check_memory, vitals_at_rest

SEED = 1


@pytest.mark.parametrize("logged", [False, True], ids=["without a log", "with a log"])
@pytest.mark.parametrize("name", LOADS)
def test_load(name: str, logged: bool) -> None:
    assert run(name, within(SHORT, raise_limit()), SEED, logged).startswith(name)


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with Daemon(None) as daemon:
        yield daemon.start()


def test_all_is_well_with_a_server_that_nobody_asks_for_anything(daemon: Daemon) -> None:
    check_at_rest(daemon, vitals_at_rest(daemon))


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong here stays wrong: no need to wait long for it to get better."""
    monkeypatch.setattr(vitals, "PATIENCE_S", 1.0)


def test_a_connection_that_is_left_is_noticed(daemon: Daemon, hurry: None) -> None:
    before = vitals_at_rest(daemon)
    with daemon.connect(), pytest.raises(Fault, match="2 sockets, not 1"):
        check_at_rest(daemon, before)


def test_a_job_that_is_left_is_noticed(daemon: Daemon) -> None:
    before = vitals_at_rest(daemon)
    with Conversation(daemon.connect()) as client:
        client.ask(put(b"left"))
    with pytest.raises(Fault, match="'current-jobs-ready': '1'"):
        check_at_rest(daemon, before)


def test_memory_that_is_not_given_back_is_noticed(daemon: Daemon, hurry: None) -> None:
    before = vitals_at_rest(daemon)
    with Conversation(daemon.connect()) as client:
        for _ in range(40):
            client.ask(*[put(bytes(50_000))] * 20)
    with pytest.raises(Fault, match="MiB, not"):
        check_memory(daemon.process.pid, before)


STRANGE = """
import sys
from beanstalkd_py import cli
from beanstalkd_py.server import server

end_of_turn = server.Server._end_of_turn

def busy(self, alone=False):
    end_of_turn(self, alone)
    self._stay_awake(True)

def talkative(self, alone=False):
    end_of_turn(self, alone)
    sys.stderr.write("by the way")
    sys.stderr.flush()

server.Server._end_of_turn = {"busy": busy, "talkative": talkative}[sys.argv.pop(1)]
sys.exit(cli.main(sys.argv))
"""


@pytest.mark.sources
@pytest.mark.parametrize(
    ("how", "what"), [("busy", "ticks of CPU"), ("talkative", "stderr: 'by the way")]
)
def test_a_server_that_is_never_at_rest_is_noticed(
    tmp_path: Path, how: str, what: str, hurry: None
) -> None:
    (tmp_path / "strange.py").write_text(STRANGE)
    with Daemon(None, program=(sys.executable, str(tmp_path / "strange.py"), how)) as daemon:
        daemon.start()
        before = vitals_at_rest(daemon)
        with pytest.raises(Fault, match=what):
            check_at_rest(daemon, before)


def test_there_are_as_many_connections_as_descriptors_allow() -> None:
    assert within(LONG, 1 << 20) == LONG
    assert within(LONG, 2000).idle == 2000 - LONG.busy - SPARE
    assert within(LONG, 100).idle == 0
    assert os.sysconf("SC_OPEN_MAX") > SHORT.idle + SHORT.busy + SPARE


def test_memory_that_grows_from_cycle_to_cycle_is_noticed() -> None:
    check_growth([40, 45, 74, 48, 54, 88, 51, 54, 54, 50])
    with pytest.raises(Fault, match="grows"):
        check_growth([40, 45, 74, 51, 54, 88, 60, 64, 84, 70])
