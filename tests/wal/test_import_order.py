"""The list of modules in the package's docstring is true: imports go upwards only."""

import ast
from pathlib import Path

import beanstalkd_wal as wal

FOLDER = Path(wal.__file__).parent


def listed_lines() -> dict[str, int]:
    """Module -> the number of its line in the list."""
    _, _, listing = (wal.__doc__ or "").partition("imports only from lines above its own:")
    lines = [line.split() for line in listing.splitlines() if line.strip()]
    return {module: number for number, line in enumerate(lines) for module in line}


def imported(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    modules = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {module.partition(".")[2] for module in modules if module.startswith("beanstalkd_wal.")}


def test_package_docstring_lists_every_module():
    assert listed_lines().keys() == {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}


def test_modules_import_only_from_lines_above():
    lines = listed_lines()
    for module, number in lines.items():
        for other in imported(FOLDER / f"{module}.py"):
            assert lines[other] < number, f"{module} imports {other}"
