"""The scenarios of client libraries. Only greenstalk's runs here: it is installed for tests."""

from __future__ import annotations

import sys
from pathlib import Path

from clients.run import BEGIN, END, LIBRARIES, PAGE, SCENARIOS, Outcome, row, run
from testkit.daemon import OURS

TEXT = (Path(__file__).resolve().parents[3] / PAGE).read_text()
GREENSTALK = LIBRARIES[0]


def test_each_scenario_is_in_the_page_and_works() -> None:
    rows = TEXT.partition(BEGIN)[2].partition(END)[0].strip().splitlines()[2:]
    assert [line.split(" | ")[0] for line in rows] == [f"| {each.name}" for each in LIBRARIES]
    assert all(line.endswith(" | works | works |") for line in rows)
    assert {each.file for each in LIBRARIES} == {path.name for path in SCENARIOS.glob("*.*")}


def test_scenario_runs_and_its_commands_are_counted() -> None:
    outcome = run(GREENSTALK, OURS, Path(sys.prefix))
    assert outcome.failure == ""
    assert {"put", "bury", "kick", "stats", "pause-tube"} <= set(outcome.commands)
    assert outcome.version.startswith("2.")


def test_scenario_that_fails_is_shown() -> None:
    missing = GREENSTALK._replace(file="no_such_scenario.py")
    outcome = run(missing, OURS, Path(sys.prefix))
    assert "No such file" in outcome.failure and outcome.commands == ()
    assert row("x", [outcome]).startswith("| x | ") and " fails: " in row("x", [outcome])
    assert row("x", [Outcome("1", ("put",), "")]) == "| x | 1 | put | works |"
