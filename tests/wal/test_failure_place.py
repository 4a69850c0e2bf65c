"""The failure that an operator reads names the file that failed, whatever the log was doing."""

import errno
import os

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.fs import FileSystem

from tests.wal.logs import opened, write


def fail(monkeypatch, call: str) -> None:
    def failing(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, call, failing)


@pytest.mark.parametrize(
    ("call", "name"), [("pwrite", "spare.1"), ("fdatasync", "spare.1"), ("fsync", "")]
)
def test_failure_of_a_start_names_the_file(tmp_path, monkeypatch, call, name):
    fail(monkeypatch, call)
    with pytest.raises(wal.LogFailed) as caught:
        opened(FileSystem(), directory=str(tmp_path))
    path = str(tmp_path / name) if name else str(tmp_path)
    assert str(caught.value) == f"{path}: failed: errno 5: {os.strerror(errno.EIO)}"


@pytest.mark.parametrize("call", ["pwrite", "close"])
def test_failed_rewrite_of_a_start_names_the_segment(tmp_path, monkeypatch, call):
    log = opened(FileSystem(), wal.Durability.WINDOW, directory=str(tmp_path))
    write(log, [b"a"])  # not durable, so the next start writes it again
    fail(monkeypatch, call)
    with pytest.raises(wal.LogFailed) as caught:
        opened(FileSystem(), directory=str(tmp_path))
    assert caught.value.path == str(tmp_path / "00000001.wal")


def test_failed_trim_names_the_spare(tmp_path, monkeypatch):
    log = opened(FileSystem(), segment_bytes=1 << 16, directory=str(tmp_path))
    log.preallocate(3 << 16)
    fail(monkeypatch, "ftruncate")
    with pytest.raises(wal.LogFailed) as caught:
        log.trim(log.headroom - 5000)
    assert os.path.dirname(caught.value.path) == str(tmp_path)
    assert os.path.basename(caught.value.path).startswith("spare.")


def test_failed_allocation_names_the_spare(tmp_path, monkeypatch):
    log = opened(FileSystem(), segment_bytes=1 << 16, directory=str(tmp_path))
    fail(monkeypatch, "posix_fallocate")
    with pytest.raises(wal.LogFailed) as caught:
        log.ensure_headroom(1 << 17)
    assert os.path.basename(caught.value.path).startswith("spare.")


def test_failed_write_of_a_commit_names_segment_and_offset(tmp_path, monkeypatch):
    log = opened(FileSystem(), directory=str(tmp_path))
    fail(monkeypatch, "pwrite")
    write(log, [b"a"])
    with pytest.raises(wal.LogFailed, match=r"00000001\.wal: failed at offset 1024: errno 5"):
        log.collect()


def test_failed_directory_sync_of_a_rotation_names_the_directory(tmp_path, monkeypatch):
    log = opened(FileSystem(), directory=str(tmp_path))
    assert log.ensure_headroom(20000)
    fail(monkeypatch, "fsync")
    write(log, [b"x" * 6000], [b"x" * 6000])
    with pytest.raises(wal.LogFailed) as caught:
        log.collect()
    assert caught.value.path == str(tmp_path)
