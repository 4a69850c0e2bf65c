"""The mutants are up to date: each piece of source and each named check exists. One mutant is
run.

`make mutants` runs all of them.
"""

from __future__ import annotations

import ast
import random
from functools import cache

import pytest
from mutants import document
from mutants.catalogue import MUTANTS
from mutants.invariants import Invariant
from mutants.mutant import Mutant
from mutants.tree import ROOT, Tree, copied
from mutants.trial import DETECTED, Trials, arguments

NAMES = [mutant.name for mutant in MUTANTS]
TRIED = 1  # each mutant costs two runs of pytest
SEED = 20

ORIGINAL = "def double(number):\n    return 2 * number\n"
TEST = "from thing import double\n\n\ndef test_it():\n    assert double(2) == 4\n"
PROGRAM = "import sys\nfrom thing import double\nsys.exit(double(2) != 4)\n"
COMMANDS = ["tests/test_thing.py::test_it", "program"]


def mutant(piece: str, replacement: str) -> Mutant:
    return Mutant(
        Invariant.LOG_BEFORE_STATE,
        "treble",
        "double multiplies by three",
        "thing.py",
        piece,
        replacement,
        ("tests/test_thing.py::test_it",),
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_piece_of_source_occurs_once(mutant):
    assert mutant.source(ROOT) != (ROOT / mutant.file).read_text()


def test_every_invariant_has_a_mutant():
    assert {mutant.invariant for mutant in MUTANTS} == set(Invariant)
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("invariant", Invariant, ids=lambda invariant: invariant.name)
def test_invariant_is_named_in_the_docs(invariant):
    assert f"**{invariant.value}" in (ROOT / "docs/architecture.md").read_text()


@pytest.mark.parametrize(
    "command", sorted({command for mutant in MUTANTS for command in mutant.caught_by})
)
def test_named_check_exists(command):
    """pytest fails on a test name that does not exist, which would look like a detection."""
    first = command.split()[0]
    if not first.startswith("tests/"):
        assert (ROOT / "tools" / first / "__main__.py").exists()
        return
    path, _, test = first.partition("::")
    assert not test or test in functions(path)


@cache
def functions(path):
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_table_in_docs_is_up_to_date():
    """To update it: make mutants ARGUMENTS=--document"""
    page = (ROOT / document.PAGE).read_text()
    assert document.with_table(page, MUTANTS) == page


def test_some_mutants_are_detected():
    quick = [
        mutant
        for mutant in MUTANTS
        if mutant.caught_by[0].startswith("tests/wal/test_format.py") or mutant.name == "id-reused"
    ]
    with copied() as tree:
        trials = Trials(tree)
        for mutant in random.Random(SEED).sample(quick, TRIED):
            assert trials.verdict(mutant, mutant.caught_by[0]) == DETECTED


# How a trial works


@pytest.fixture
def trials(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # pytest starts twice as fast
    (tmp_path / "tests").mkdir()
    (tmp_path / "thing.py").write_text(ORIGINAL)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "tests" / "test_thing.py").write_text(TEST)
    return Trials(Tree(tmp_path))


@pytest.mark.parametrize("command", COMMANDS)
def test_failing_command_is_a_detection(trials, tmp_path, command):
    assert trials.verdict(mutant("2 *", "3 *"), command) == DETECTED
    assert (tmp_path / "thing.py").read_text() == ORIGINAL


@pytest.mark.parametrize("command", COMMANDS)
def test_succeeding_command_is_no_detection(trials, command):
    assert "NOT detected" in trials.verdict(mutant("2 *", "1 * 2 *"), command)


def test_invalid_mutant_is_not_a_detection(trials):
    assert "did not detect" in trials.verdict(mutant("2 *", "two *"), "program")
    assert "did not detect" in trials.verdict(mutant("def double", "def treble"), "program")
    assert "did not detect" in trials.verdict(mutant("def double", "def treble"), COMMANDS[0])


def test_stale_mutant_is_reported(trials):
    assert "0 times" in trials.verdict(mutant("4 *", "3 *"), "program")
    assert "2 times" in trials.verdict(mutant("number", "n"), "program")
    assert "changes nothing" in trials.verdict(mutant("2 *", "2 *"), "program")
    assert "invalid syntax" in trials.verdict(mutant("2 *", "2 * *"), "program")


def test_command_must_succeed_without_the_mutant(trials, tmp_path):
    (tmp_path / "thing.py").write_text(ORIGINAL.replace("2", "3"))
    verdict = trials.verdict(mutant("3 *", "4 *"), COMMANDS[0])
    assert "fails without the mutant" in verdict and "AssertionError" in verdict
    assert "see the message above" in trials.verdict(mutant("3 *", "5 *"), COMMANDS[0])


def test_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks"):
        document.with_table("# Testing\n", MUTANTS)


def test_commands_become_interpreter_arguments():
    assert arguments("simulation --seed 1") == ["-m", "simulation", "--seed", "1"]
    assert arguments("tests/a.py::test_b -k 'c or d'")[-3:] == [
        "tests/a.py::test_b",
        "-k",
        "c or d",
    ]
