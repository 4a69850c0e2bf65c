"""docs/operating.md: its table of options, and its example of a configuration file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from manual.options_table import BEGIN, PAGE, table, with_table

from beanstalkd_py.config import file
from beanstalkd_py.config.table import IN_FILE, OPTIONS

TEXT = (Path(__file__).resolve().parents[3] / PAGE).read_text()


def test_page_has_a_row_for_each_option() -> None:
    assert len(table().splitlines()) == 2 + len(OPTIONS)
    assert with_table(TEXT) == TEXT, "run: PYTHONPATH=.:wal:tools .venv/bin/python -m manual"


def test_bar_in_a_cell_does_not_end_it() -> None:
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in table().splitlines())
    assert r"`--log-format text\|json`" in table()


def test_missing_mark_is_noticed() -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_table(TEXT.replace(BEGIN, ""))


def test_example_in_the_page_is_a_correct_file_with_every_key(tmp_path: Path) -> None:
    """A key that would contradict another one is in a comment."""
    example = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    path = tmp_path / "beanstalkd.toml"
    path.write_text(example[1])
    file.read(str(path))
    assert set(re.findall(r"^#?(\w+) = ", example[1], re.MULTILINE)) == IN_FILE.keys()
    for statement in re.findall(r"^#?(\w+ = .*)", example[1], re.MULTILINE):
        path.write_text(statement)
        file.read(str(path))
