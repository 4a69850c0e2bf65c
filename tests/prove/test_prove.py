"""The long run of all rungs, with small programs in their place."""

from __future__ import annotations

from pathlib import Path

import pytest
from prove import __main__ as program
from prove import lane
from prove.__main__ import main, prove, table
from prove.rungs import RUNGS, Rung

ROOT = Path(__file__).resolve().parents[2]
NOT_RUNGS = {"beanstalkd_binlog", "bench", "prove"}
MEETS = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[-2:])
mine.touch()
give_up_at = time.monotonic() + 10
while not other.exists():
    assert time.monotonic() < give_up_at
    time.sleep(0.01)
print("met", sys.argv[1:5])
"""


def test_every_rung_is_run():
    """Who builds another one gives it a place in `prove.rungs`."""
    there = {path.parent.name for path in (ROOT / "tools").glob("*/__main__.py")}
    assert {rung.name.partition(".")[0] for rung in RUNGS} == there - NOT_RUNGS


def test_the_lanes_take_the_time_there_is():
    for first in range(2):
        assert sum(rung.share for rung in RUNGS if rung.lane in (first, 2)) == pytest.approx(1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_two_lanes_run_at_once_and_the_last_one_afterwards(place, capsys):
    (place / "meets.py").write_text(MEETS)
    (place / "last.py").write_text("import os\nprint('both are', os.path.exists(os.environ['PYTHONPATH'] + '/a'))\n")
    a, b = str(place / "a"), str(place / "b")
    rungs = [Rung("last", "last", 2, 0.1), Rung("meets", "one", 0, 0.9, (a, b)), Rung("meets", "two", 1, 0.9, (b, a))]
    outcomes = prove(rungs, 17, 1)
    assert [(outcome.rung.shown, outcome.ok, outcome.summary) for outcome in outcomes] == [
        ("one", True, "met ['--seed', '17', '--seconds', '54']"),
        ("two", True, "met ['--seed', '17', '--seconds', '54']"),
        ("last", True, "both are True"),
    ]


def test_one_that_fails_is_shown_and_the_next_runs(place, capsys, monkeypatch):
    (place / "good.py").write_text("print('good: ok')\n")
    (place / "bad.py").write_text("import sys\nprint('expected 1, got 2')\nsys.exit(1)\n")
    monkeypatch.setattr(program, "RUNGS", [Rung("bad", "bad", 0, 0.5), Rung("good", "good", 0, 0.5)])
    assert main(["--seed", "3", "--minutes", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "    expected 1, got 2" in said
    assert said[-1] == "prove: seed 3, 2 rungs, 1 failed, FAILED"
    assert said[-4].split() == "bad FAILED 0.0 python -m bad --seed 3 --seconds 60".split()
    assert said[-3].split() == "good ok 0.0 good: ok".split()
    assert main(["--only", "good"]) == 0


def test_one_that_hangs_is_ended_with_all_that_it_started(place, monkeypatch):
    # Its child has the pipe, so that the outcome would take a minute if it were left.
    (place / "hangs.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n")
    monkeypatch.setattr(lane, "LATE_S", 0.5)
    (outcome,) = prove([Rung("hangs", "hangs", 0, 1.0)], 1, 1 / 120)
    assert not outcome.ok and "did not end" in outcome.summary
    assert "FAILED" in table([outcome])


def test_an_unknown_rung_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--only", "nonsense"])
