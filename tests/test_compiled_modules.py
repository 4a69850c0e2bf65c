"""What mypyc needs of compiled modules: Final constants, whose values it puts into the code; and
libraries that it may be without.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from beanstalkd_py.config.toml import tomllib

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


def imported(source: str) -> set[str]:
    """The modules that are imported, in a function too. Some of these are names in a module."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def libraries_of(modules: list[str]) -> set[str]:
    """What the modules, and those that they import, need besides this project."""
    found: set[str] = set()
    seen: set[Path] = set()
    todo = [ROOT / module for module in modules]
    while todo:
        path = todo.pop()
        if path in seen or not path.exists():
            continue
        seen.add(path)
        for name in imported(path.read_text()):
            if name.startswith("beanstalkd_"):
                folder = ROOT / "wal" if name.startswith("beanstalkd_wal") else ROOT
                todo.append((folder / name.replace(".", "/")).with_suffix(".py"))
            else:
                found.add(name.split(".")[0])
    return found - sys.stdlib_module_names


def test_wheel_is_compiled_without_the_libraries_it_uses() -> None:
    """Where a wheel is built, mypy finds none of them."""
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    known: list[str] = []
    for each in overrides:
        if each.get("ignore_missing_imports"):
            known += [each["module"]] if isinstance(each["module"], str) else each["module"]
    needed = libraries_of(compiled_modules())
    assert "cronsim" in needed
    assert needed <= {pattern.removesuffix(".*") for pattern in known}
