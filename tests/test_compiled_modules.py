"""The constants of compiled modules are Final. So mypyc puts their values into the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Tests and checks replace these, so their values must be looked up at run time.
REPLACED = {
    "FEW_JOBS",
    "JOBS_PER_BUCKET",
    "LARGE_ENTRIES",
    "NEW_STRUCT",
    "SHORT_STRUCT",
    "SLICE_JOBS",
    "SPARE_IDS",
    "STALE_ALLOWED",
}


def compiled_modules() -> list[str]:
    """COMPILED of setup.py. An import of setup.py would build the package."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return list(eval(ast.unparse(node.value)))
    raise AssertionError("setup.py has no COMPILED")


def not_final(source: str) -> set[str]:
    """The constants without a type. One assignment to several names is not counted."""
    names = {
        target.id
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar(")
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return {name for name in names if name.isupper()}


@pytest.mark.parametrize("module", compiled_modules())
def test_constants_of_compiled_module_are_final(module: str) -> None:
    assert not_final((ROOT / module).read_text()) <= REPLACED


def test_constant_that_is_not_final_is_found() -> None:
    source = 'A: Final = 1\nB = 2\n_C = 3\nT = TypeVar("T")\nName = int\nD: int = 4\nE, F = 5, 6\n'
    assert not_final(source) == {"B", "_C"}
