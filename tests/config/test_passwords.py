"""The password file: what is a mistake in it, and the command that writes its lines."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.daemon import OURS

from beanstalkd_py.config.file import WrongFile
from beanstalkd_py.config.passwords import User, new_user, nobody, parse, read
from beanstalkd_py.password import main

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/wal"}
GOOD = "anna:full:scrypt$16384$8$1$c2FsdC5zYWx0$aGFzaC5oYXNoLmhhc2guaGFzaA=="


def test_line_of_a_user_is_read_back() -> None:
    user = new_user("anna", "full", b"a password")
    assert parse(user.line) == user
    assert user.accepts(b"a password") and not user.accepts(b"a password ")
    assert new_user("anna", "full", b"a password").salt != user.salt
    assert not nobody().accepts(b"")


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("anna", "expected NAME:ROLE"),
        ("anna:full:a password", "expected NAME:ROLE"),
        (f"{GOOD}:", "salt or hash is not base64"),
        (GOOD.replace("anna", "a.b"), "a name has"),
        (GOOD.replace("anna", ""), "a name has"),
        (GOOD.replace("anna", "a" * 65), "a name has"),
        (GOOD.replace("full", "Full"), "the role must be read or full"),
        (GOOD.replace("16384", "512"), "the costs"),
        (GOOD.replace("16384", "16383"), "the costs"),
        (GOOD.replace("16384", "1048576"), "the costs"),
        (GOOD.replace("$8$", "$0$"), "the costs"),
        (GOOD.replace("$1$", "$17$"), "the costs"),
        (GOOD.replace("c2FsdC5zYWx0", "c2Fs"), "too short"),
        (GOOD.replace("c2FsdC5zYWx0", "c2FsdC5zYW!0"), "not base64"),
        (GOOD.replace("aGFzaC5o", "aGFza\ufffd5o"), "not base64"),
    ],
)
def test_mistake_in_a_line_does_not_show_it(line: str, mistake: str) -> None:
    with pytest.raises(ValueError, match=mistake) as error:
        parse(line)
    assert "password" not in str(error.value).replace("beanstalkd-py password", "")


def test_file_has_comments_and_all_its_mistakes_are_told(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(f"# users\r\n\n  {GOOD}\r\n{GOOD.replace('anna', 'rita')}")
    assert list(read(str(path))) == ["anna", "rita"]
    path.write_bytes(b"\xff\n" + GOOD.encode() + b"\nrita\n")
    with pytest.raises(WrongFile) as error:
        read(str(path))
    assert [line for line, _ in error.value.mistakes] == [1, 3]


def test_file_without_users_is_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text("# nobody\n")
    for name, text in (("users", "no user"), ("missing", "No such file"), ("", "not a regular")):
        with pytest.raises(WrongFile, match=text):
            read(str(tmp_path / name))


# The command


class Stdin(io.TextIOWrapper):
    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))


def run(monkeypatch: pytest.MonkeyPatch, data: bytes, *words: str) -> int:
    monkeypatch.setattr(sys, "stdin", Stdin(data))
    try:
        return main(["beanstalkd-py", "password", *words])
    except SystemExit as end:
        return int(str(end.code))


def test_line_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, b"a password\r\nmore", "add", "anna", "--role", "full") == 0
    user = parse(capsys.readouterr().out.removesuffix("\n"))
    assert (user.name, user.role, user.accepts(b"a password")) == ("anna", "full", True)


def test_line_in_a_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "users"
    assert run(monkeypatch, b"a password\n", "add", "anna", "--file", str(path)) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(f"# people\n{path.read_text()}# programs\n")
    path.chmod(0o640)
    link = tmp_path / "link"
    link.symlink_to(path)
    for name, role in (("anna", "full"), ("scrape", "read")):
        words = ("add", name, "--role", role, "--file", str(link))
        assert run(monkeypatch, b"another one\n", *words) == 0
    lines = path.read_text().splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "# people",
        "anna",
        "# programs",
        "scrape",
    ]
    users = read(str(path))
    assert {each.name: each.role for each in users.values()} == {"anna": "full", "scrape": "read"}
    assert users["anna"].accepts(b"another one")
    assert path.stat().st_mode & 0o777 == 0o640 and link.is_symlink()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["link", "users"]


@pytest.mark.parametrize(
    ("data", "words", "status", "text"),
    [
        (b"short\n", ["add", "anna"], 1, "the password is too short: it needs 8 bytes"),
        (b"", ["add", "anna"], 1, "too short"),
        (b"a" * 1025, ["add", "anna"], 1, "longer than 1024 bytes"),
        (b"a password\n", ["add", "anna", "--file", "/"], 1, "/: Is a directory"),
        (b"a password\n", ["add", "a.b"], 5, "not 1 to 64 letters"),
        (b"a password\n", ["add", "anna", "--role", "all"], 5, "invalid choice"),
        (b"a password\n", ["add", "anna", "a password"], 5, "unrecognized arguments"),
        (b"a password\n", [], 5, "required"),
    ],
)
def test_wrong_use_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    data: bytes, words: list[str], status: int, text: str,
) -> None:  # fmt: skip
    assert run(monkeypatch, data, *words) == status
    said = capsys.readouterr()
    assert said.out == "" and text in said.err
    assert said.err.startswith("beanstalkd-py password: ")


@pytest.mark.parametrize(("again", "status"), [(b"a password", 0), (b"b password", 1)])
def test_terminal_is_asked_twice_without_echo(tmp_path: Path, again: bytes, status: int) -> None:
    path = tmp_path / "users"
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(OURS[0], [*OURS, "password", "add", "anna", "--file", str(path)], ENVIRON)
    said = b""
    for prompt, answer in ((b"Password of anna: ", b"a password"), (b"Again: ", again)):
        while not said.endswith(prompt):
            said += os.read(terminal, 1000)
        os.write(terminal, answer + b"\n")
    _, ended = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(ended) == status
    assert b"password" not in said.replace(b"Password", b"")
    assert path.exists() is (status == 0)


def test_program_has_the_command() -> None:
    done = subprocess.run(
        [*OURS, "password", "add", "anna"], input=b"a password\n", capture_output=True,
        cwd=ROOT, env=ENVIRON,
    )  # fmt: skip
    assert isinstance(parse(done.stdout.decode().strip()), User)
    assert done.returncode == 0
