"""How a release is made: notes, checksums, lists of files. `make release` itself makes one."""

from __future__ import annotations

import io
import json
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from release import __main__ as program
from release import check, command, notes, sbom, tree, trial, unit, wheels
from release.command import ROOT, Failed, run
from testkit.daemon import INSTALLED

CHANGELOG = """# Changelog

## [Unreleased]

### Added

- A thing.

## [0.1.0] - 2026-01-31

- Before.
"""
GIT = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost"]


def test_notes_are_the_first_section() -> None:
    expected = "# beanstalkd-py 0.2.0 (not yet released)\n\n### Added\n\n- A thing.\n"
    assert notes.notes(CHANGELOG, "0.2.0") == expected
    dated = CHANGELOG.replace("[Unreleased]", "[0.2.0] - 2026-02-28")
    assert notes.notes(dated, "0.2.0").startswith("# beanstalkd-py 0.2.0 (2026-02-28)\n")


@pytest.mark.parametrize(
    ("changelog", "reason"),
    [
        (CHANGELOG.replace("Unreleased", "0.1.1"), "0.1.1, but the version is 0.2.0"),
        ("# Changelog\n\n## [Unreleased]\n\n## [0.1.0]\n\n- Before.\n", "missing or empty"),
        ("# Changelog\n", "missing or empty"),
    ],
    ids=["another version", "empty", "none"],
)
def test_changelog_without_notes_stops_the_release(changelog: str, reason: str) -> None:
    with pytest.raises(Failed, match=reason):
        notes.notes(changelog, "0.2.0")


def test_changelog_of_this_tree_has_notes() -> None:
    assert notes.notes((ROOT / "CHANGELOG.md").read_text(), program.__version__)


def test_bill_has_what_the_server_needs_without_extras() -> None:
    text = sbom.described(["click", 'tomli; python_version < "3.11"', "ruff; extra == 'test'"])
    assert 'dependencies = ["click", "tomli; python_version < \\"3.11\\""]\n' in text


def test_failed_command_says_what_it_printed() -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    with pytest.raises(Failed, match=r"status 3\nout\nerr\n"):
        run([sys.executable, "-c", code])


def test_installed_program_does_not_see_this_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = "import json, os; print(json.dumps(dict(os.environ)))"
    seen = json.loads(run([sys.executable, "-c", code], environ={"MORE": "1"}))
    assert "PYTHONPATH" not in seen and seen["MORE"] == "1"
    assert seen["PATH"].split(":")[0] == str(command.BIN)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One file is committed, one is new, one is ignored, one was removed."""
    work = tmp_path / "work"
    (work / "a").mkdir(parents=True)
    (work / ".gitignore").write_text("*.so\n")
    for name in "a/kept", "new", "x.so", "gone":
        (work / name).touch()
    for words in (["init", "-q"], ["add", ".gitignore", "a", "gone"], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *words], cwd=work, check=True)
    (work / "gone").unlink()
    return work


def test_release_has_the_files_that_git_does_not_ignore(repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "old").touch()
    assert tree.copy(copy, repository) == [".gitignore", "a/kept", "new"]
    assert {path.name for path in copy.iterdir()} == {".gitignore", "a", "new"}


def test_uncommitted_change_is_noticed(repository: Path) -> None:
    assert not tree.is_committed(repository)
    for words in (["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *words], cwd=repository, check=True)
    assert tree.is_committed(repository)
    assert int(tree.committed_at(repository)) > 0


def test_file_missing_in_the_source_distribution_stops_the_release(tmp_path: Path) -> None:
    archive = tmp_path / "thing-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("thing-1.0/there"), io.BytesIO())
    assert wheels.unpack(archive, tmp_path, ["there"]) == tmp_path / "thing-1.0"
    with pytest.raises(Failed, match=r"thing-1.0.tar.gz lacks other: see MANIFEST.in"):
        wheels.unpack(archive, tmp_path, ["there", "other"])


def test_wheels_are_found_by_their_kind(tmp_path: Path) -> None:
    for name in ("b-1-py3-none-any.whl", "b-1-cp311-cp311-manylinux_2_17_x86_64.whl"):
        (tmp_path / name).touch()
    assert wheels.pure(tmp_path).name == "b-1-py3-none-any.whl"
    assert wheels.compiled(tmp_path).name == "b-1-cp311-cp311-manylinux_2_17_x86_64.whl"
    with pytest.raises(Failed, match="has 0 files"):
        wheels.source(tmp_path)


def test_image_is_built_from_the_files_that_docker_gets(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for name in "a/b/file", "a/other", "kept", "left":
        (tree / name).touch()
    (tree / ".dockerignore").write_text("# All but these.\n*\n!kept\n!a/b\n**/*.so\n")
    copied = check.context(tree, tmp_path / "to")
    files = {str(path.relative_to(copied)) for path in copied.rglob("*") if path.is_file()}
    assert files == {"kept", "a/b/file"}


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "SHA256SUMS").write_text("")
    (tmp_path / "SHA256SUMS").write_text(program.sums(tmp_path))
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
    assert "SHA256SUMS" not in program.sums(tmp_path)


def test_unknown_step_builds_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert program.main(["everything"]) == 2
    assert capfd.readouterr().err.startswith("python -m release [wheels | debian]")


def test_command_of_the_unit_is_started_elsewhere() -> None:
    words = unit.command("/opt/beanstalkd-py", "/opt/file")
    assert words == ["/opt/beanstalkd-py", "--config", "/opt/file"]


def test_server_is_tried_with_the_files_of_the_service(tmp_path: Path) -> None:
    """As for a release, with the program of this environment. The log is that of the file."""
    http = tmp_path / "http"
    with check.service(Path(INSTALLED[0])) as words, trial.daemon(words, http) as server:
        trial.through_a_kill(server, INSTALLED, http)
        directory = Path(words[-1]).parent
        assert f"log {directory}: 1 job in " in server.ready_line()


def test_lost_job_stops_the_release() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"TIMED_OUT\r\n")
        with pytest.raises(Failed, match="TIMED_OUT"):
            trial.take(SimpleNamespace(connect=lambda: ours))
