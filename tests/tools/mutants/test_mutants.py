"""That each law broken on purpose would be noticed: pieces are where they were, those named exist,
a few are really tried.

All of them are tried by `make mutants`.
"""

from __future__ import annotations

import ast
import random

import pytest
from mutants import document
from mutants.catalogue import MUTANTS
from mutants.mutant import Mutant
from mutants.tree import ROOT, Tree, copied
from mutants.trial import NOTICED, Trials, arguments

NAMES = [mutant.name for mutant in MUTANTS]
TRIED = 2  # of those that a test notices: each costs two runs of pytest
SEED = 20

WHOLE = "def double(number):\n    return 2 * number\n"
TEST = "from thing import double\n\n\ndef test_it():\n    assert double(2) == 4\n"
PROGRAM = "import sys\nfrom thing import double\nsys.exit(double(2) != 4)\n"
COMMANDS = ["tests/test_thing.py::test_it", "program"]


def mutant(piece: str, instead: str) -> Mutant:
    return Mutant(
        1,
        "treble",
        "twice is thrice",
        "thing.py",
        piece,
        instead,
        ("tests/test_thing.py::test_it",),
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_the_piece_is_where_it_was(mutant):
    assert mutant.source(ROOT) != (ROOT / mutant.file).read_text()


def test_every_law_is_broken_in_some_way():
    assert {mutant.law for mutant in MUTANTS} == set(range(11))
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    "command", sorted({command for mutant in MUTANTS for command in mutant.caught_by})
)
def test_who_is_named_exists(command):
    """A test that was renamed would fail on any tree."""
    first = command.split()[0]
    if not first.startswith("tests/"):
        assert (ROOT / "tools" / first / "__main__.py").exists()
        return
    path, _, test = first.partition("::")
    functions = {
        node.name
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
        if isinstance(node, ast.FunctionDef)
    }
    assert not test or test in functions


def test_the_table_is_what_is_tried():
    """Otherwise: make mutants ARGUMENTS=--document"""
    page = (ROOT / document.PAGE).read_text()
    assert document.written(page, MUTANTS) == page


def test_some_of_them_are_noticed():
    quick = [
        mutant
        for mutant in MUTANTS
        if mutant.caught_by[0].startswith("tests/wal/test_format.py") or mutant.name == "id-reused"
    ]
    with copied() as tree:
        trials = Trials(tree)
        for mutant in random.Random(SEED).sample(quick, TRIED):
            assert trials.verdict(mutant, mutant.caught_by[0]) == NOTICED


# The trial itself


@pytest.fixture
def trials(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "thing.py").write_text(WHOLE)
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "tests" / "test_thing.py").write_text(TEST)
    return Trials(Tree(tmp_path))


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_noticed(trials, tmp_path, command):
    assert trials.verdict(mutant("2 *", "3 *"), command) == NOTICED
    assert (tmp_path / "thing.py").read_text() == WHOLE


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_not_noticed(trials, command):
    assert "NOT noticed" in trials.verdict(mutant("2 *", "1 * 2 *"), command)


def test_what_breaks_more_than_the_law_is_not_noticed_for_the_right_reason(trials):
    assert "not because it noticed" in trials.verdict(mutant("2 *", "two *"), "program")
    assert "not because it noticed" in trials.verdict(mutant("def double", "def treble"), "program")
    assert "not because it noticed" in trials.verdict(
        mutant("def double", "def treble"), COMMANDS[0]
    )


def test_a_piece_that_is_not_there_once_is_found_out(trials):
    assert "0 times" in trials.verdict(mutant("4 *", "3 *"), "program")
    assert "2 times" in trials.verdict(mutant("number", "n"), "program")
    assert "changes nothing" in trials.verdict(mutant("2 *", "2 *"), "program")
    assert "invalid syntax" in trials.verdict(mutant("2 *", "2 * *"), "program")


def test_a_command_that_fails_anyway_proves_nothing(trials, tmp_path):
    (tmp_path / "thing.py").write_text(WHOLE.replace("2", "3"))
    said = trials.verdict(mutant("3 *", "4 *"), COMMANDS[0])
    assert "fails without it" in said and "AssertionError" in said
    assert "as said above" in trials.verdict(mutant("3 *", "5 *"), COMMANDS[0])  # once is enough


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks"):
        document.written("# Testing\n", MUTANTS)


def test_commands_are_run_by_the_interpreter():
    assert arguments("simulation --seed 1") == ["-m", "simulation", "--seed", "1"]
    assert arguments("tests/a.py::test_b -k 'c or d'")[-3:] == [
        "tests/a.py::test_b",
        "-k",
        "c or d",
    ]
