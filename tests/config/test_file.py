"""The configuration file: each kind of mistake is found, with its line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from beanstalkd_py.config import file
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import IN_FILE

EVERY_KEY = """
wal_dir = "jobs"
sync_ms = 50
never_sync = false
segment_bytes = 1_048_576
accept_damaged_import = true
address = "unix:/run/socket"
port = 11301
socket_mode = "0660"
max_memory = "auto"
max_connections = 5
max_connections_per_address = 6
idle_timeout = 7
input_timeout = 8
max_pending = 9
http = "127.0.0.1:11380"
http_password_file = "users"
http_read_only = true
socket_group = "mail"
max_job_size = 0
user = "nobody"
verbosity = 2
log_format = "json"
log_level = "error"
"""
A_PORT = "an integer from 0 to 65535, or the name of a service"
A_VALUE = "invalid value; a string must be in quotes"
A_REST = "text after the value; a string must be in quotes"
A_MODE = 'a string of octal digits, such as "660"'
A_MEMORY = 'an integer from 0 to 1125899906842624 bytes, or "auto"'
A_WINDOW = "an integer from 0 to 86400000 ms"
A_SIZE = "an integer from 0 to 1073741824 bytes"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beanstalkd.toml"


def mistakes(path: Path) -> list[file.Mistake]:
    with pytest.raises(file.WrongFile) as caught:
        file.read(str(path))
    return caught.value.mistakes


def test_every_key_is_read(path: Path) -> None:
    path.write_text(EVERY_KEY)
    values = file.read(str(path))
    assert values.keys() == IN_FILE.keys() == set(Options._fields) - {"schedule"}
    assert Options(**values) == Options(  # type: ignore[arg-type]
        "jobs",
        50,
        False,
        "unix:/run/socket",
        "11301",
        "nobody",
        0,
        1048576,
        2,
        True,
        0o660,
        "mail",
        "auto",
        5,
        6,
        7,
        8,
        9,
        "json",
        "error",
        "127.0.0.1:11380",
        "users",
        True,
    )


@pytest.mark.parametrize("text", ["", "\n", "# nothing", "\r\n# nothing\r\n"])
def test_empty_file_sets_nothing(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    assert file.read(str(path)) == {}


def test_port_may_be_the_name_of_a_service(path: Path) -> None:
    path.write_text('port = "http"')
    assert file.read(str(path)) == {"port": "http"}


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        # wrong types
        ("wal_dir = 1", "wal_dir: expected a string, found 1"),
        ("user = true", "user: expected a string, found a boolean"),
        ("address = [1]", "address: expected a string, found an array"),
        ("max_job_size = '5'", f"max_job_size: expected {A_SIZE}, found a string"),
        ("max_job_size = true", f"max_job_size: expected {A_SIZE}, found a boolean"),
        ("max_job_size = 1.0", f"max_job_size: expected {A_SIZE}, found a float"),
        ("sync_ms = 2026-01-01", f"sync_ms: expected {A_WINDOW}, found a date or time"),
        ("sync_ms = 10:00:00", f"sync_ms: expected {A_WINDOW}, found a date or time"),
        ("never_sync = 1", "never_sync: expected true or false, found 1"),
        ("never_sync = 'no'", "never_sync: expected true or false, found a string"),
        ("[max_job_size]", f"max_job_size: expected {A_SIZE}, found a table"),
        ("max_job_size.a = 1", f"max_job_size: expected {A_SIZE}, found a table"),
        ("[[port]]", f"port: expected {A_PORT}, found an array"),
        ("port = true", f"port: expected {A_PORT}, found a boolean"),
        ("socket_mode = 660", f"socket_mode: expected {A_MODE}, found 660"),
        # out of range
        ("max_job_size = -1", f"max_job_size: expected {A_SIZE}, found -1"),
        ("max_job_size = 1073741825", f"max_job_size: expected {A_SIZE}, found 1073741825"),
        (
            "segment_bytes = 65535",
            "segment_bytes: expected an integer from 65536 to 1073741824 bytes, found 65535",
        ),
        (
            f"sync_ms = {10**4000}",
            "sync_ms: expected an integer from 0 to 86400000 ms, found a very large number",
        ),
        ("verbosity = 3", "verbosity: expected an integer from 0 to 2, found 3"),
        ("port = '65536'", f"port: expected {A_PORT}, found '65536'"),
        ("port = '-1'", f"port: expected {A_PORT}, found '-1'"),
        ("port = 65536", f"port: expected {A_PORT}, found 65536"),
        ("socket_mode = '668'", f"socket_mode: expected {A_MODE}, found '668'"),
        ("wal_dir = ''", "wal_dir: expected a string, found an empty one"),
        (r'user = "a\u0000"', "user: a zero byte is not allowed"),
        ("max_memory = 'all'", f"max_memory: expected {A_MEMORY}, found a string"),
        (
            "max_memory = -1",
            "max_memory: expected an integer from 0 to 1125899906842624 bytes, found -1",
        ),
        ("max_pending = 0", "max_pending: expected an integer from 1 to 1073741824 bytes, found 0"),
        (
            'log_level = "debug"',
            """log_level: expected "error" or "warning" or "info", found 'debug'""",
        ),
        ("log_format = true", 'log_format: expected "text" or "json", found a boolean'),
        # unknown keys
        ("max_job_sise = 1", "unknown key: max_job_sise; did you mean max_job_size?"),
        ("max-job-size = 1", "unknown key: max-job-size; did you mean max_job_size?"),
        ("Port = 1", "unknown key: Port; did you mean port?"),
        ("xyz = 1", "unknown key: xyz"),
        ("config = 'a'", "unknown key: config"),
        ("[limits]\nmax_job_size = 1", "unknown key: limits"),
        (r'"a\nb" = 1', r"unknown key: 'a\nb'"),
        # not TOML
        ("port = ", f"{A_VALUE}, column 8"),
        ("address = unix:/run/socket", f"{A_VALUE}, column 11"),
        ("never_sync = True", f"{A_VALUE}, column 14"),
        ("port = 1 2", f"{A_REST}, column 10"),
        ("address = 127.0.0.1", f"{A_REST}, column 16"),
        ("port", "Expected '=' after a key in a key/value pair, column 5"),
        ('wal_dir = "a', r"Illegal character '\n', column 13"),
        (f"sync_ms = {'9' * 5000}", "a value cannot be read"),
    ],
)
def test_mistake_has_its_line(path: Path, statement: str, text: str) -> None:
    path.write_text(f"# a comment\n\n\n{statement}\n# the end\n")
    assert mistakes(path) == [(4, text)]


@pytest.mark.parametrize("again", ["user = 'b'", "user.a = 1", "[user]"])
def test_key_that_is_set_twice_has_its_second_line(path: Path, again: str) -> None:
    path.write_text(f"user = 'a'\n\n{again}\n")
    ((line, text),) = mistakes(path)
    assert line == 3
    assert text.startswith("this key is set above")


def test_all_mistakes_are_found_in_the_order_of_lines(path: Path) -> None:
    path.write_text("sync_ms = 5\nport = ''\nnever_sync = true\nunknown = 1\nverbosity = 7\n")
    assert [line for line, _ in mistakes(path)] == [1, 2, 4, 5]


def test_lines_of_the_report_begin_with_file_and_line(path: Path) -> None:
    path.write_text("\nverbosity = 7\nuser = 1\n")
    with pytest.raises(file.WrongFile) as caught:
        file.read(str(path))
    assert caught.value.lines == [
        f"{path}:2: verbosity: expected an integer from 0 to 2, found 7",
        f"{path}:3: user: expected a string, found 1",
    ]


@pytest.mark.parametrize("never_sync", [True, False])
def test_window_with_never_sync_is_a_contradiction(path: Path, never_sync: bool) -> None:
    path.write_text(f"sync_ms = 50\nnever_sync = {str(never_sync).lower()}\n")
    if never_sync:
        assert mistakes(path) == [(1, "sync_ms: contradicts never_sync = true")]
    else:
        assert file.read(str(path)) == {"sync_ms": 50, "never_sync": False}


def test_file_that_cannot_be_read_is_a_mistake_without_a_line(path: Path, tmp_path: Path) -> None:
    assert mistakes(path) == [(None, "No such file or directory")]
    assert mistakes(tmp_path) == [(None, "not a regular file")]
    os.mkfifo(path)
    assert mistakes(path) == [(None, "not a regular file")]
    assert mistakes(path / "file") == [(None, "Not a directory")]


def test_byte_order_mark_is_named(path: Path) -> None:
    """Some editors on Windows write one."""
    path.write_bytes(b"\xef\xbb\xbfport = 11300\n")
    assert mistakes(path) == [
        (1, "begins with a byte-order mark (EF BB BF); save the file as UTF-8 without it")
    ]


def test_file_that_is_not_utf_8_has_the_line_of_the_byte(path: Path) -> None:
    path.write_bytes(b"# a\n# \xff\n")
    assert mistakes(path) == [(2, "not UTF-8, which TOML files must be")]


def test_empty_name_of_a_file_is_shown() -> None:
    with pytest.raises(file.WrongFile) as caught:
        file.read("")
    assert caught.value.lines == ['"": No such file or directory']


def test_file_without_end_is_refused(path: Path) -> None:
    path.write_bytes(b"#" * file.MAX_BYTES)
    assert file.read(str(path)) == {}
    path.write_bytes(b"#" * (file.MAX_BYTES + 1))
    assert mistakes(path) == [(None, "more than 262144 bytes")]


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "a = " + "{a=" * 50_000])
def test_deep_nesting_is_a_mistake(path: Path, text: str) -> None:
    path.write_text(text)
    assert mistakes(path) == [(1, "nested too deeply")]
