"""The command line: each command on each golden directory, exit statuses, paths."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from beanstalkd_binlog import cli as module
from beanstalkd_binlog.status import BUG, INTERRUPTED, NO_LOG, NO_MEMORY, UNREADABLE
from testkit.daemon import ROOT

from tests.tools.beanstalkd_binlog import logs
from tests.tools.beanstalkd_binlog.conftest import EMPTY_STATS
from tests.tools.beanstalkd_binlog.logs import put, segment, write

COMMANDS = ("ls", "verify", "dump", "jobs", "stats", "history")

DAMAGED = {"flipped", "missing", "orphan", "unreadable"}
NEWER = {"newer", "newer_records"}


def arguments(command: str, directory: Path) -> list[str]:
    return [command, str(directory), *(["1"] if command == "history" else [])]


@pytest.fixture
def main(capsys: pytest.CaptureFixture[str]):
    """The console script, run in this process. Returns status, stdout and stderr."""

    def main(*words: object) -> tuple[int, str, str]:
        status = module.run([str(word) for word in words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return main


# Each command on each golden directory


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", logs.MAKERS)
def test_status_of_each_command_on_each_directory(run, golden, command, name):
    found = run(*arguments(command, golden[name]), "--json")
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    if name in NEWER:
        assert (
            (found.exit_code, lines) == (65, [])
            and "newer" in found.stderr
            and found.stderr.count("\n") == 1
        )
    elif command == "verify":
        assert (
            found.exit_code == (2 if name in DAMAGED else 1 if name == "torn" else 0)
            and found.stderr == ""
        )
    elif name in DAMAGED:
        assert found.exit_code == 65 and lines
        assert found.stderr.splitlines()[-1].endswith(
            "the log is damaged; only intact records are shown "
            "(beanstalkd-binlog verify lists all damage)"
        )
    else:
        assert found.exit_code == 0
        assert ("torn at offset" in found.stderr) == (name == "torn")


@pytest.mark.parametrize("command", COMMANDS)
def test_empty_directory_is_an_empty_log(run, golden, command):
    found = run(*arguments(command, golden["empty"]))
    said = {
        "verify": f"{golden['empty']}: clean: 0 segments, 0 records, 0 jobs\n",
        "stats": EMPTY_STATS,
        "history": "no record of job 1: the highest job id in the log is 0\n",
    }
    assert (found.exit_code, found.stdout, found.stderr) == (0, said.get(command, ""), "")


@pytest.mark.parametrize(
    "names",
    [
        ["lock"],
        ["lock", "spare.1", "spare.2"],
        ["torn.1.1024"],
        [".keep", "lost+found"],
        ["beanstalkd-binlog-2026"],
    ],
)
def test_directory_without_a_segment_yet_is_an_empty_log(run, tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    assert run("verify", tmp_path).exit_code == 0


# Directories without a log


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_directory(run, tmp_path, command):
    found = run(*arguments(command, tmp_path / "nowhere"))
    assert (found.exit_code, found.stdout) == (NO_LOG, "")
    assert found.stderr == f"beanstalkd-binlog: {tmp_path}/nowhere: No such file or directory\n"


def test_file_instead_of_a_directory(run, tmp_path):
    (tmp_path / "file").touch()
    found = run("ls", tmp_path / "file")
    assert (found.exit_code, found.stderr) == (
        NO_LOG,
        f"beanstalkd-binlog: {tmp_path}/file: Not a directory\n",
    )


def test_directory_of_other_files_is_not_an_empty_log(run, tmp_path):
    (tmp_path / "photo.jpg").touch()
    found = run("verify", tmp_path)
    assert (found.exit_code, found.stdout, found.stderr) == (
        NO_LOG,
        "",
        f"beanstalkd-binlog: {tmp_path}: contains no log\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_binlog_of_the_c_server_is_recognised(run, tmp_path, command):
    for number in (9, 10, 11):
        (tmp_path / f"binlog.{number}").write_bytes(struct.pack("<i", 7))
    found = run(*arguments(command, tmp_path))
    assert (found.exit_code, found.stdout) == (NO_LOG, "")
    hint = (
        "contains a binlog of the C server (binlog.9 to binlog.11); "
        "convert it with beanstalkd-binlog import"
    )
    assert found.stderr == f"beanstalkd-binlog: {tmp_path}: {hint}\n"


def test_log_beside_old_files_of_the_c_server_is_read(run, tmp_path):
    write(tmp_path, [put(1)])
    (tmp_path / "binlog.1").touch()
    assert run("verify", tmp_path).exit_code == 0


def test_directory_without_read_permission(run, golden, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("os.listdir", refuse)
    found = run("ls", golden["clean"])
    assert (found.exit_code, found.stderr) == (
        NO_LOG,
        f"beanstalkd-binlog: {golden['clean']}: Permission denied\n",
    )


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PermissionError(13, "Permission denied", "x.wal"), NO_LOG, "x.wal: Permission denied"),
        (OSError(5, "Input/output error", "x.wal"), UNREADABLE, "x.wal: Input/output error"),
        (MemoryError(), NO_MEMORY, "out of memory: allow more memory (ulimit -v)"),
    ],
)
def test_segment_that_cannot_be_read(main, golden, monkeypatch, error, status, said):
    def fail(self, path, nbytes=-1):
        raise error

    monkeypatch.setattr("beanstalkd_wal.FileSystem.read", fail)
    assert main("verify", golden["clean"]) == (status, "", f"beanstalkd-binlog: {said}\n")


# Statuses


def test_usage(main, golden):
    for words in (
        ["ls"],
        ["frob", "x"],
        ["dump", "x", "--lsn", "1-2"],
        ["dump", "x", "--since", "yesterday"],
        ["jobs", "x", "--state", "odd"],
    ):
        status, out, err = main(*words)
        assert (status, out) == (2, "") and err.startswith("Usage: beanstalkd-binlog")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["dump", "--help"], ["--version"]])
def test_help_and_version(main, words):
    status, out, err = main(*words)
    assert (status, err) == (0, "") and "beanstalkd-binlog" in out


def test_bug_has_a_status_of_its_own(main, golden, monkeypatch):
    """Status 1 would mean a torn tail."""
    monkeypatch.setattr("beanstalkd_binlog.cli.verify", lambda walk, output: 1 // 0)
    status, _, err = main("verify", golden["clean"])
    assert status == BUG == 70 and "ZeroDivisionError" in err


def test_interrupt_has_a_status_of_its_own(main, golden, monkeypatch):
    def interrupt(walk, output):
        raise KeyboardInterrupt

    monkeypatch.setattr("beanstalkd_binlog.cli.verify", interrupt)
    assert main("verify", golden["clean"])[0] == INTERRUPTED == 130


def test_statuses_of_the_console_script(golden):
    script = Path(sys.executable).parent / "beanstalkd-binlog"
    for name, status in (("clean", 0), ("torn", 1), ("flipped", 2), ("newer", 65)):
        assert (
            subprocess.run([script, "verify", golden[name]], capture_output=True).returncode
            == status
        )


def test_reading_commands_create_no_files(run, tmp_path):
    log = write(tmp_path / "log", [put(1)])
    assert "lock" not in {path.name for path in log.iterdir()}
    run("verify", log)
    assert {path.name for path in log.iterdir()} == {segment(log, 1).name}


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_bytes_of_a_path_are_written_as_they_are(tmp_path, encoding):
    """Also beside characters that the encoding of the stream lacks."""
    directory = os.fsencode(tmp_path) + b"/caf\xe9 \xe2\x82\xac"
    for words, made in ((["verify"], True), (["ls"], False)):
        (os.mkdir if made else os.rmdir)(directory)
        command = [sys.executable, "-m", "beanstalkd_binlog", *words, directory]
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        found = subprocess.run(command, cwd=ROOT / "tools", env=environment, capture_output=True)
        shown = (found.stdout + found.stderr).splitlines()
        assert len(shown) == 1 and b"Traceback" not in shown[0]
        if encoding == "utf-8":
            assert directory in shown[0]
        else:
            assert b"caf\xe9 \\u20ac" in shown[0] or b"caf\\udce9 \\u20ac" in shown[0]


def test_program_runs_with_click_8_1():
    """Debian 12 has it. There, a type of parameters has no type argument."""
    code = (
        f"import sys; sys.path[:0] = {[str(ROOT / folder) for folder in ('', 'wal', 'tools')]}\n"
        "import click; click.ParamType.__class_getitem__ = None\n"
        "from beanstalkd_binlog.cli import cli; cli(['--help'], prog_name='program')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("Usage: program "), done.stderr
