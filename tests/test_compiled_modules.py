"""What mypyc needs of compiled modules: Final constants, whose values it puts into the code; and
libraries that it may be without.
"""

from __future__ import annotations

import ast
import sys
from fnmatch import fnmatch
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


def libraries(source: str) -> set[str]:
    """The packages that are imported, in a function too, and are not of this project."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names.add(node.module)
    roots = {name.split(".")[0] for name in names}
    own = {"beanstalkd_py", "beanstalkd_wal", "tomllib"}
    return roots - own - sys.stdlib_module_names


def test_wheel_is_compiled_without_the_libraries_it_uses() -> None:
    """Where a wheel is built, mypy finds none of them. It reads the modules that compiled ones
    import too; those are all except the wings that the core does not know.
    """
    overrides = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["overrides"]
    known = [
        pattern
        for each in overrides
        if each.get("ignore_missing_imports")
        for pattern in ([each["module"]] if isinstance(each["module"], str) else each["module"])
    ]
    wings = ("http", "dramatiq", "foreign", "console")
    for path in [*ROOT.glob("beanstalkd_py/*/*.py"), *ROOT.glob("wal/*/*.py")]:
        if path.parent.name not in wings:
            for name in libraries(path.read_text()):
                assert any(fnmatch(f"{name}.x", pattern) for pattern in known), f"{path}: {name}"


def test_library_that_a_function_imports_is_found() -> None:
    source = (
        "import os\nfrom beanstalkd_py.queue import state\ndef f():\n    from cronsim import C\n"
    )
    assert libraries(source) == {"cronsim"}
