"""The short form: some scenarios, each a seed of its own; `make simulate` goes on with others."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from simulation.scenario import Scenario, run
from simulation.threads import simulated_threads

BUNDLES = 4
WORLDS = 16  # in each


@pytest.mark.parametrize("first", range(1, BUNDLES * WORLDS, WORLDS))
def test_nothing_that_was_answered_is_lost(first: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(first, first + WORLDS):
        counts += run(seed)
    assert counts["scenarios"] == WORLDS
    assert (
        min(counts[what] for what in ("commands", "starts", "stops", "kill", "power cut", "fills"))
        > 0
    )


def everything_about(seed: int) -> object:
    scenario = Scenario(seed)
    scenario.trace = deque()
    with simulated_threads(scenario.machine.scheduler):
        scenario.run()
    return scenario.trace, {
        path: bytes(file.data) for path, file in scenario.machine.disk.names.items()
    }


def test_a_seed_is_the_same_world_again() -> None:
    assert everything_about(3) == everything_about(3)
