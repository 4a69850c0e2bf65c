"""The command line of the checks that run seed after seed."""

from __future__ import annotations

import pytest
from simulation import scenario, seeds
from simulation.seeds import run_seeds
from simulation.violation import Violation

from beanstalkd_py.binlog.compactor import Compactor


@pytest.fixture
def at_seed_7(monkeypatch):
    monkeypatch.setattr("sys.argv", ["check", "--seed", "5", "--seconds", "60"])


@pytest.mark.parametrize(
    "failure", [Violation("expected 1, got 2"), KeyError("raised by the server")]
)
def test_failure_is_printed_with_the_command_that_repeats_it(at_seed_7, capsys, failure):
    def run(seed, counts):
        if seed == 7:
            raise failure

    assert run_seeds("simulation.crashpoints", "", run) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(failure.args[0] in line for line in said)
    assert said[-1].startswith("again: PYTHONPATH=.:wal:tools ") and said[-1].endswith(
        " -m simulation.crashpoints --seed 7"
    )


def test_endless_seed_is_reported(at_seed_7, capsys, monkeypatch):
    monkeypatch.setattr(seeds, "SEED_CPU_S", 0.2)

    def run(seed, counts):
        while seed == 7:
            pass

    assert run_seeds("simulation.crashpoints", "", run) == 1
    said = capsys.readouterr().out.splitlines()
    assert any("does not end" in line for line in said) and any("in run" in line for line in said)
    assert said[-1].endswith("--seed 7")


def test_endless_scenario_is_reported(monkeypatch):
    monkeypatch.setattr(scenario, "SCENARIO_CPU_S", 0.2)

    def stuck(compactor):
        while True:
            pass

    monkeypatch.setattr(Compactor, "catch_up", stuck)
    with pytest.raises(Violation, match=r"(?s)does not end.*again: make simulate SEED=7"):
        scenario.run(7)
