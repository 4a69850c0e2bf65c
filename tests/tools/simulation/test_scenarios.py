"""The short form of the simulation: 48 scenarios. `make simulate` runs others."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from simulation.scenario import Scenario, run
from simulation.threads import simulated_threads

FIRST_SEEDS = (1, 13, 37, 49)  # each of these bundles has every kind of event
SCENARIOS = 12  # in each
WHAT = (
    "commands", "starts", "stops", "kill", "power cut", "fills", "failed allocations",
    "runs of schedules",
)  # fmt: skip


@pytest.mark.parametrize("first", FIRST_SEEDS)
def test_scenarios_keep_every_promise(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + SCENARIOS):
        counts += run(seed)
    assert counts["scenarios"] == SCENARIOS
    assert min(counts[what] for what in WHAT) > 0


def events_and_files(seed: int) -> object:
    scenario = Scenario(seed)
    scenario.trace = deque()
    with simulated_threads(scenario.machine.scheduler):
        scenario.run()
    return scenario.trace, {
        path: bytes(file.data) for path, file in scenario.machine.disk.names.items()
    }


def test_seed_repeats_its_scenario() -> None:
    """This one has schedules."""
    assert events_and_files(4) == events_and_files(4)
