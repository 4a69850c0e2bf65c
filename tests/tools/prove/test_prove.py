"""The long run of all rungs, with small programs in their place."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prove import __main__ as program
from prove import lane
from prove.__main__ import main, prove, table
from prove.rungs import MINUTES, RUNGS, Rung

ROOT = Path(__file__).resolve().parents[3]
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
    """Who builds another one gives it a place in `prove.rungs`, and a target."""
    programs = {path.parent.name for path in (ROOT / "tools").glob("*/__main__.py")}
    targets = set(re.findall(r"^\t\$\(RUNG\) (\S+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    run = {rung.name for rung in RUNGS}
    assert run == targets - NOT_RUNGS | {"pytest"}
    assert {name.partition(".")[0] for name in run} == programs - NOT_RUNGS | {"pytest"}
    assert len({rung.shown for rung in RUNGS}) == len(RUNGS)


def test_the_documents_name_targets_that_there_are():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):.*##", makefile, re.MULTILINE))
    named = {
        page.name: set(re.findall(r"`make ([a-z]+)", page.read_text()))
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    }
    assert set().union(*named.values()) <= targets
    assert named["testing.md"] >= {
        target for target in targets if f"$(RUNG) {target}" in makefile
    } | {"simulate", "crashes", "faults", "test"}
    assert (
        named["README.md"] | named["CONTRIBUTING.md"] | named["testing.md"] | {"serve", "help"}
        == targets
    )


def test_the_lanes_take_the_time_there_is():
    for first in range(2):
        assert sum(rung.share for rung in RUNGS if rung.lane in (first, 2)) == pytest.approx(1)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_two_lanes_run_at_once_and_the_last_one_afterwards(place, capsys):
    (place / "meets.py").write_text(MEETS)
    (place / "last.py").write_text(
        "import os\nprint('both are', os.path.exists(os.environ['PYTHONPATH'] + '/a'))\n"
    )
    a, b = str(place / "a"), str(place / "b")
    rungs = [
        Rung("last", "last", 2, 0.1),
        Rung("meets", "one", 0, 0.9, (a, b)),
        Rung("meets", "two", 1, 0.9, (b, a)),
    ]
    outcomes = prove(rungs, 17, 1)
    assert [(outcome.rung.shown, outcome.ok, outcome.summary) for outcome in outcomes] == [
        ("one", True, "met ['--seed', '17', '--seconds', '54']"),
        ("two", True, "met ['--seed', '17', '--seconds', '54']"),
        ("last", True, "both are True"),
    ]


def test_one_that_fails_is_shown_and_the_next_runs(place, capsys, monkeypatch):
    (place / "good.py").write_text("print('good: ok')\n")
    (place / "bad.py").write_text(
        "import sys\nprint('expected 1, got 2')\nprint(*range(200), sep='\\n')\nsys.exit(1)\n"
    )
    (place / "told.py").write_text(
        "import sys\nprint('told: seed 9 fails; again: make told SEED=9')\nraise KeyError\n"
    )
    monkeypatch.setattr(
        program, "RUNGS", [Rung(name, name, 0, 0.5) for name in ("bad", "told", "good")]
    )
    assert main(["--seed", "3", "--minutes", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "    expected 1, got 2" in said and "    199" in said
    assert re.fullmatch(r"prove: seed 3, 3 rungs in 0\.\d minutes, 2 failed, FAILED", said[-1])
    assert (
        said[-5].split()
        == "bad FAILED 0.0 PYTHONPATH=.:wal:tools .venv/bin/python -m bad --seed 3 --seconds 60".split()
    )
    assert said[-4].split() == "told FAILED 0.0 make told SEED=9".split()
    assert said[-3].split() == "good ok 0.0 good: ok".split()
    assert main(["--only", "good"]) == 0


HANGS = "import subprocess, sys\nprint('seed 7')\nsubprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])\n"


def test_one_that_hangs_is_ended_with_all_that_it_started(place, monkeypatch, capsys):
    # Its child has the pipe, so that the outcome would take a minute if it were left.
    (place / "hangs.py").write_text(HANGS)
    monkeypatch.setattr(lane, "LATE_S", 1.0)
    (outcome,) = prove([Rung("hangs", "hangs", 0, 1.0)], 1, 1 / 120)
    assert not outcome.ok and "did not end" in outcome.summary
    assert "FAILED" in table([outcome])
    assert "    seed 7" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", [0, 2])
def test_who_interrupts_it_ends_all_that_runs(place, number, where):
    (place / "hangs.py").write_text(f"open({str(place / 'began')!r}, 'w').close()\n{HANGS}")
    (place / "next.py").write_text(f"open({str(place / 'next')!r}, 'w').close()\n")
    program = f"""
from prove import __main__ as program
from prove.rungs import Rung
program.RUNGS = [Rung("hangs", "hangs", {where}, 0.5), Rung("next", "next", {where}, 0.5)]
raise SystemExit(program.main(["--seed", "3"]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT / "tools")])}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        while not (place / "began").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("prove: seed 3, interrupted after 0.")
    assert not (place / "next").exists()


def test_what_is_too_short_for_the_long_form_takes_the_short_one():
    rung = Rung("load", "load", 1, 0.5, ("--some",), takes_s=100.0, short=("--short",))
    assert rung.command(1, 4) == ["-m", "load", "--seed", "1", "--seconds", "120", "--some"]
    assert rung.command(1, 3) == [
        "-m",
        "load",
        "--seed",
        "1",
        "--seconds",
        "90",
        "--some",
        "--short",
    ]
    assert all("--short" not in rung.command(1, MINUTES) for rung in RUNGS)


@pytest.mark.parametrize("only", [["nonsense"], ["model", "nonsense"]])
def test_an_unknown_rung_is_refused(capsys, only):
    with pytest.raises(SystemExit):
        main(["--only", *only])
