"""The command line of a rung that works through seeds."""

from __future__ import annotations

import pytest
from simulation.seeds import work_through
from simulation.sweep.points import Wrong


@pytest.fixture
def at_seed_7(monkeypatch):
    monkeypatch.setattr("sys.argv", ["rung", "--seed", "5", "--seconds", "60"])


@pytest.mark.parametrize("failure", [Wrong("expected 1, got 2"), KeyError("what the server raised")])
def test_whatever_fails_is_said_with_the_command_that_does_it_again(at_seed_7, capsys, failure):
    def run(seed, counts):
        if seed == 7:
            raise failure

    assert work_through("simulation.crashes", "", run) == 1
    said = capsys.readouterr().out.splitlines()
    assert any(failure.args[0] in line for line in said)
    assert said[-1].startswith("again: PYTHONPATH=.:tools ") and said[-1].endswith(" -m simulation.crashes --seed 7")
