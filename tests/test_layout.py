"""The layout of the tree: names, places and sizes of files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_COLUMNS = 100
MOST_LINES = 400  # of a module
# Folders of tests for the whole server, which mirror no package.
WHOLE_SERVER = {"crash_recovery", "samples", "scenarios", "wire"}
PROSE = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("tests/**/*.md")]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules(*places: str) -> list[Path]:
    return [path for place in places for path in sorted((ROOT / place).glob("**/*.py"))]


def test_test_files_have_different_names() -> None:
    names = Counter(path.name for path in (ROOT / "tests").glob("**/test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_folders_of_tests_mirror_packages() -> None:
    tests = ROOT / "tests"
    mirrored = {path.parent.relative_to(tests) for path in tests.glob("**/test_*.py")}
    mirrored = {path for path in mirrored if path.parts and path.parts[0] not in WHOLE_SERVER}
    assert mirrored  # the folders are found
    strangers = [path for path in mirrored if not (package(path) or ROOT / "none").is_dir()]
    assert strangers == []


def package(folder: Path) -> Path | None:
    """What a folder of tests/ tests."""
    if folder.parts[0] == "tools":
        return ROOT / folder
    if folder.parts[0] == "wal":
        return ROOT / "wal" / "beanstalkd_wal" / Path(*folder.parts[1:])
    return ROOT / "beanstalkd_py" / folder


def test_modules_are_short() -> None:
    long = [
        relative(path)
        for path in modules("beanstalkd_py", "wal", "tools", "tests")
        if len(path.read_text().splitlines()) > MOST_LINES
    ]
    assert long == []


SCRIPTS = sorted((ROOT / "beanstalkd_py").glob("**/*.js"))


@pytest.mark.parametrize("path", SCRIPTS, ids=relative)
def test_scripts_are_short_and_narrow(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
    assert too_long(path.read_text()) == []


def too_long(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > MOST_COLUMNS]


def prose(text: str) -> str:
    """Without tables and blocks of code, which may be wider."""
    lines, code = [], False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        code ^= fence
        if not (code or fence or line.startswith(("|", "    ")) or "](http" in line):
            lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("path", PROSE, ids=relative)
def test_prose_has_at_most_100_columns(path: Path) -> None:
    assert too_long(prose(path.read_text())) == []


@pytest.mark.parametrize("name", ["Makefile", ".ci/run", "pyproject.toml", "setup.cfg"])
def test_configuration_has_at_most_100_columns(name: str) -> None:
    assert too_long((ROOT / name).read_text()) == []


def test_tool_is_configured_in_one_file() -> None:
    text = (ROOT / "setup.cfg").read_text()
    assert not any(section in text for section in ("[tool:", "[mypy", "[flake8"))


def test_long_line_of_prose_is_found() -> None:
    long = "x" * (MOST_COLUMNS + 1)
    assert too_long(prose(f"{long}\n| {long} |\n```\n{long}\n```\n{long}")) == [long, long]
