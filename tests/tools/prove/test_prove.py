"""make prove, with small programs in place of the checks; and the list of the checks."""

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
from prove.checks import CHECKS, MINUTES, PROVED, Check

ROOT = Path(__file__).resolve().parents[3]
MAKEFILE = (ROOT / "Makefile").read_text()
TESTING = ROOT / "docs" / "testing.md"
NOT_CHECKS = {"beanstalkd_binlog", "clients", "manual", "prove", "release", "screenshots"}
MEETS = """
import pathlib, sys, time
mine, other = map(pathlib.Path, sys.argv[-2:])
mine.touch()
while not other.exists():
    time.sleep(0.01)
print("met", sys.argv[1:5])
"""


def test_list_makefile_and_programs_agree():
    programs = {path.parent.name for path in (ROOT / "tools").glob("*/__main__.py")}
    assert {check.module.partition(".")[0] for check in CHECKS} == programs - NOT_CHECKS | {
        "pytest"
    }
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    found = re.findall(r"^([a-z]+):.*## (.*)\n\t\$\(CHECK\) (\S+)", MAKEFILE, re.MULTILINE)
    listed = {(check.name, check.finds, check.module) for check in CHECKS if check.seeded}
    assert {row for row in found if row[0] != "prove"} == {
        row for row in listed if "-" not in row[0]
    }


def test_list_and_document_agree():
    table = re.findall(r"^\| `make ([a-z]+)` \|.*\| (.*) \|$", TESTING.read_text(), re.MULTILINE)
    assert set(table) == {
        (check.name, check.finds) for check in CHECKS if check.name == check.target
    }


def test_documents_name_existing_targets():
    targets = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
    named = {
        page.name: set(re.findall(r"`make ([a-z]+)", page.read_text()))
        for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    }
    assert set().union(*named.values()) <= targets
    found = named["README.md"] | named["CONTRIBUTING.md"] | named["testing.md"]
    assert found | {"serve", "help"} == targets


def test_lanes_use_all_of_the_time():
    for first in range(2):
        assert sum(check.share for check in PROVED if check.lane in (first, 2)) == pytest.approx(1)


def check(name, module="", share=0.5, **how):
    return Check(name, module or name, "", share, **how)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_last_lane_begins_when_the_other_two_have_ended(place, capsys):
    (place / "meets.py").write_text(MEETS)
    (place / "last.py").write_text(
        "import os\nprint('both are', os.path.exists(os.environ['PYTHONPATH'] + '/a'))\n"
    )
    a, b = str(place / "a"), str(place / "b")
    checks = [
        check("last", lane=2, share=0.1),
        check("one", "meets", lane=0, share=0.9, more=(a, b)),
        check("two", "meets", lane=1, share=0.9, more=(b, a)),
    ]
    outcomes = prove(checks, 17, 1)
    assert [(outcome.check.name, outcome.ok, outcome.summary) for outcome in outcomes] == [
        ("one", True, "met ['--seed', '17', '--seconds', '54']"),
        ("two", True, "met ['--seed', '17', '--seconds', '54']"),
        ("last", True, "both are True"),
    ]


def test_failed_check_is_shown_and_the_next_one_runs(place, capsys, monkeypatch):
    (place / "good.py").write_text("print('good: ok')\n")
    (place / "bad.py").write_text(
        "import sys\nprint('expected 1, got 2')\nprint(*range(200), sep='\\n')\nsys.exit(1)\n"
    )
    (place / "told.py").write_text(
        "import sys\nprint('told: seed 9 fails; again: make told SEED=9')\nraise KeyError\n"
    )
    monkeypatch.setattr(program, "PROVED", [check(name) for name in ("bad", "told", "good")])
    assert main(["--seed", "3", "--minutes", "2"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert "    expected 1, got 2" in said and "    199" in said
    assert re.fullmatch(r"prove: seed 3, 3 checks in \d+\.\d minutes, 2 failed, FAILED", said[-1])
    rows = [re.split(r"  +", row, maxsplit=3) for row in said[-5:-2]]
    again = "PYTHONPATH=.:wal:tools .venv/bin/python -m bad --seed 3 --seconds 60"
    assert [[row[0], row[1], row[3]] for row in rows] == [
        ["bad", "FAILED", again],
        ["told", "FAILED", "make told SEED=9"],
        ["good", "ok", "good: ok"],
    ]
    assert main(["--only", "good"]) == 0


HANGS = """
import subprocess, sys
print('seed 7')
subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])
"""


def test_hanging_check_is_ended_with_its_processes(place, monkeypatch, capsys):
    # The child process holds the pipe: if it were left alone, the outcome would take ten minutes.
    (place / "hangs.py").write_text(HANGS)
    said = ""
    for late_s in (1.0, 9.0, 90.0):  # more on a machine so busy that it has not begun by then
        monkeypatch.setattr(lane, "LATE_S", late_s)
        (outcome,) = prove([check("hangs")], 1, 1 / 60)
        assert not outcome.ok and "did not end" in outcome.summary
        assert "FAILED" in table([outcome])
        said = capsys.readouterr().out
        if "    seed 7\n" in said:
            return
    raise AssertionError(said)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", [0, 2])
def test_interrupt_ends_every_process(place, number, where):
    (place / "hangs.py").write_text(f"open({str(place / 'began')!r}, 'w').close()\n{HANGS}")
    (place / "next.py").write_text(f"open({str(place / 'next')!r}, 'w').close()\n")
    program = f"""
from prove import __main__ as program
from prove.checks import Check
program.PROVED = [Check(name, name, "", 0.5, {where}) for name in ("hangs", "next")]
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
        said, _ = process.communicate(timeout=600)
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("prove: seed 3, interrupted after ")
    assert not (place / "next").exists()


def test_check_with_little_time_runs_in_its_short_form():
    load = check("load", lane=1, more=("--some",), full_size_s=100.0, short=("--short",))
    assert " ".join(load.command(1, 4)) == "-m load --seed 1 --seconds 120 --some"
    assert " ".join(load.command(1, 3)) == "-m load --seed 1 --seconds 90 --some --short"
    assert all("--short" not in check.command(1, MINUTES) for check in PROVED)


@pytest.mark.parametrize("only", [["nonsense"], ["model", "nonsense"]])
def test_unknown_check_is_refused(capsys, only):
    with pytest.raises(SystemExit):
        main(["--only", *only])
