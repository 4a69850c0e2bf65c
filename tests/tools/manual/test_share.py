"""The manual pages and the completions are complete, and their syntax holds."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from beanstalkd_binlog.cli import cli
from manual import click_page, completion, console_page, roff, server_page, share

from beanstalkd_py import password, ping
from beanstalkd_py.config.table import OPTIONS
from beanstalkd_py.console import options as console

ROOT = Path(__file__).parents[3]
REQUESTS = {".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi", ".br"}
PAGES = {name: text for name, text in share.texts().items() if name.endswith(".1")}
SHELLS = {"bash": completion.bash(), "zsh": completion.zsh(), "fish": completion.fish()}
SUBCOMMANDS = {name: command for name, command in cli.commands.items() if not command.hidden}


def plain(page: str) -> str:
    """The page without requests, fonts and escapes, in one line."""
    text = re.sub(r"^\.\S+ ?", "", page, flags=re.MULTILINE)
    return " ".join(re.sub(r"\\f[BIR]|\\&", "", text).replace("\\-", "-").split())


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_page_has_only_requests_that_it_means(page: str) -> None:
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= REQUESTS
    assert not re.search(r"\\[^-efR&]", page)
    assert page.count("\\fB") + page.count("\\fI") == page.count("\\fR")


def test_page_of_the_server_has_every_option_with_its_help() -> None:
    page = plain(server_page.page())
    for option in OPTIONS:
        assert f"{option.long} {option.value}".rstrip() in page
        assert option.help in page
    for parser in (ping.parser(""), password.parser("")):
        for action in parser._actions:
            assert (action.option_strings or [action.metavar or "add"])[-1] in page
            assert str(action.help) % vars(action) in page


def test_page_of_the_server_has_the_tables_of_the_documentation() -> None:
    page = plain(server_page.page())
    assert "SIGNALS" in page and "USR1 drain until the end" in page
    assert "143 stopped as asked, as process 1 of a container" in page
    with pytest.raises(ValueError, match="no table below 'Backups'"):
        server_page.rows_of("Backups")


def test_page_of_the_console_has_every_option_with_its_help() -> None:
    page = plain(console_page.page())
    for action in console.parser("")._actions:
        assert action.option_strings[-1] in page and str(action.help) % vars(action) in page
    assert "beanstalkd-py(1)" in page


def test_every_program_has_a_page() -> None:
    """The Debian package is refused without one of them."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    scripts = setup["options.entry_points"]["console_scripts"].strip().splitlines()
    programs = {line.partition("=")[0].strip() for line in scripts}
    assert {Path(name).stem for name in PAGES} == programs


def test_page_of_the_binlog_tool_has_every_command() -> None:
    page = plain(click_page.page())
    assert len(SUBCOMMANDS) > 10
    for name, command in SUBCOMMANDS.items():
        assert f"beanstalkd-binlog {name} [OPTIONS] DIR" in page or name == "import"
        assert command.help and command.help.split("\n")[0] in page
        for param in command.params:
            assert not isinstance(param, click.Option) or param.opts[-1] in page


def test_lines_of_a_help_text_stay_where_click_keeps_them() -> None:
    text = roff.from_help("One\n    two.\n\n    \b\n    Table:\n      .5  -b\n    ")
    assert text == ".PP\nOne two.\n.PP\n.nf\nTable:\n  .5  \\-b\n.fi\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (".5 of it", r"\&.5 of it"),
        ("'quoted'", r"\&'quoted'"),
        (r"C:\-b", r"C:\e\-b"),
        ("a\n.b", "a\n\\&.b"),
    ],
)
def test_text_is_no_request(text: str, shown: str) -> None:
    assert roff.escaped(text) == shown


def test_markdown_becomes_fonts() -> None:
    assert roff.from_markdown("`-u`: see [below](#users)") == r"\fB\-u\fR: see below"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_has_every_option(shell: str) -> None:
    text = SHELLS[shell]
    for option in OPTIONS:
        long = option.long if shell != "fish" else f"-l {option.long[2:]} "
        assert long in text
    for name in ("address", "timeout", "role"):
        assert f"--{name}" in text if shell != "fish" else f"-l {name} " in text


def test_completion_has_the_words_that_are_values() -> None:
    assert ":text|json:(text json)'" in completion.zsh()
    assert " -l log-format -x -a 'text json' " in completion.fish()


def test_apostrophe_ends_no_quotation() -> None:
    assert "beanstalkd'\\''s damaged" in completion.zsh()
    assert "beanstalkd\\'s damaged" in completion.fish()


COMPLETE = """
compopt() { :; }
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_beanstalkd_py
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["pi"], ["ping"]),
        (["--max-j"], ["--max-job-size"]),
        (["-V", "pi"], []),
        (["-p", "--"], []),
        (["--wal-dir", "d"], ["directory"]),
        (["--config", "d"], ["directory"]),
        (["--config", "f"], ["file"]),
        (["-b", "f"], []),
        (["--log-format", ""], ["text", "json"]),
        (["--log-level", "w"], ["warning"]),
        (["ping", "--a"], ["--address"]),
        (["ping", "--max"], []),
        (["pass"], ["password"]),
        (["password", "--r"], ["--role"]),
        (["password", "--a"], []),
    ],
)
def test_bash_completes(words: list[str], completed: list[str], tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    done = subprocess.run(
        ["bash", "-c", completion.bash() + COMPLETE, "bash", "beanstalkd-py", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout.split(), done.stderr) == (completed, "")


def test_every_file_is_written(tmp_path: Path) -> None:
    share.write(tmp_path)
    written = {str(path.relative_to(tmp_path)): path for path in tmp_path.rglob("*.*")}
    assert written.keys() >= PAGES.keys()
    assert all((tmp_path / name).read_text() == text for name, text in share.texts().items())


def test_pages_need_no_library_but_those_of_the_log() -> None:
    """Where the Debian package is built, there are click and a checksum only."""
    names = ("gevent", "werkzeug", "prometheus_client", "cronsim")
    code = f"import sys; sys.modules.update(dict.fromkeys({names!r})); import manual.share as share"
    path = os.pathsep.join(str(ROOT / folder) for folder in ("", "wal", "tools"))
    subprocess.run(
        [sys.executable, "-c", f"{code}; share.texts()"],
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
