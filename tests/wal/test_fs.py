"""The seam on a real file system; and that the disk in memory does the same."""

import errno
import os
import socket

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import fs as seam
from beanstalkd_wal.fs import FileSystem
from simulation.disk import MemoryDisk


@pytest.fixture(params=["real", "memory"])
def place(request, tmp_path):
    return (FileSystem(), str(tmp_path)) if request.param == "real" else (MemoryDisk(), "/log")


def test_file_calls_do_what_they_say(place):
    fs, directory = place
    path = f"{directory}/a"
    handle = fs.create(path)
    fs.write(handle, b"hello", 0)
    fs.write(handle, b"J", 0)
    fs.write(handle, b"!", 7)
    fs.sync(handle)
    assert fs.read(path) == b"Jello\0\0!"
    assert fs.read(path, 3) == b"Jel"
    assert fs.read(path, 100) == b"Jello\0\0!"
    assert fs.size(path) == 8
    fs.truncate(handle, 2)
    assert fs.read(path) == b"Je"
    fs.allocate(handle, 2, 10000)
    assert fs.read(path) == b"Je" + bytes(9998)
    fs.close(handle)
    handle = fs.open(path)
    fs.write(handle, b"x", 1)
    fs.close(handle)
    assert fs.read(path, 3) == b"Jx\0"


class WithoutNoReplace(FileSystem):
    """A file system on which renameat2 has no flags, such as NFS."""

    def rename(self, old: str, new: str) -> None:
        self._rename_by_link(old, new)


@pytest.fixture(params=["real", "real by link", "memory", "memory by link"])
def any_place(request, tmp_path):
    if request.param.startswith("real"):
        fs = WithoutNoReplace() if request.param.endswith("link") else FileSystem()
        return fs, str(tmp_path)
    disk = MemoryDisk()
    disk.renames_by_link = request.param.endswith("link")
    return disk, "/log"


def created(fs: FileSystem, path: str, content: bytes) -> None:
    handle = fs.create(path)
    fs.write(handle, content, 0)
    fs.close(handle)


def test_rename_and_create_replace_no_file(any_place):
    fs, directory = any_place
    old, new = f"{directory}/old", f"{directory}/new"
    created(fs, old, b"old")
    created(fs, new, b"new")
    with pytest.raises(FileExistsError):
        fs.rename(old, new)
    with pytest.raises(FileExistsError):
        fs.create(new)
    assert (fs.read(old), fs.read(new)) == (b"old", b"new")
    with pytest.raises(FileNotFoundError):
        fs.rename(f"{directory}/missing", f"{directory}/free")
    fs.rename(old, f"{directory}/free")
    assert sorted(fs.list(directory)) == ["free", "new"]
    fs.replace(f"{directory}/free", new)
    assert (fs.list(directory), fs.read(new)) == (["new"], b"old")


def test_interrupted_rename_by_link_is_continued(tmp_path):
    fs, old, new = WithoutNoReplace(), str(tmp_path / "old"), str(tmp_path / "new")
    created(fs, old, b"x")
    assert fs.links(old) == 1
    os.link(old, new)
    assert fs.links(old) == fs.links(new) == 2
    fs.rename(old, new)
    assert (fs.list(str(tmp_path)), fs.links(new)) == (["new"], 1)


@pytest.mark.parametrize("exists", [False, True])
def test_rename_without_links_replaces_no_file(tmp_path, monkeypatch, exists):
    fs, old, new = WithoutNoReplace(), str(tmp_path / "old"), str(tmp_path / "new")
    created(fs, old, b"old")

    def unsupported(*_):
        raise OSError(errno.EPERM, "not here")

    monkeypatch.setattr(os, "link", unsupported)
    if exists:
        created(fs, new, b"new")
        with pytest.raises(FileExistsError):
            fs.rename(old, new)
        assert (fs.read(old), fs.read(new)) == (b"old", b"new")
    else:
        fs.rename(old, new)
        assert fs.list(str(tmp_path)) == ["new"]


def test_sync_calls_reach_the_kernel():
    """Who asks it to sync a pipe is told that this cannot be done."""
    reader, writer = os.pipe()
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        FileSystem().sync(writer)
    assert not FileSystem().sync_directory(writer)
    os.close(reader)
    os.close(writer)


def test_directory_calls_do_what_they_say(place):
    fs, directory = place
    for name in ("a", "b"):
        handle = fs.create(f"{directory}/{name}")
        fs.write(handle, name.encode(), 0)
        fs.close(handle)
    assert sorted(fs.list(directory)) == ["a", "b"]
    fs.replace(f"{directory}/a", f"{directory}/b")
    assert fs.list(directory) == ["b"]
    assert fs.read(f"{directory}/b") == b"a"
    handle = fs.open_directory(directory)
    assert fs.sync_directory(handle)
    fs.close(handle)
    fs.unlink(f"{directory}/b")
    assert fs.list(directory) == []
    for missing in (fs.read, fs.open, fs.unlink, fs.size):
        with pytest.raises(FileNotFoundError):
            missing(f"{directory}/b")


def test_urandom_returns_random_bytes(place):
    fs, _ = place
    assert len(fs.urandom(8)) == 8
    assert fs.urandom(8) != fs.urandom(8)


def test_fill_writes_zeros(place):
    fs, directory = place
    handle = fs.create(f"{directory}/a")
    fs.write(handle, b"x" * 700_000, 0)
    seam.fill(fs, handle, 10, 600_000)
    assert fs.read(f"{directory}/a") == b"x" * 10 + bytes(599_990) + b"x" * 100_000
    fs.close(handle)


def test_short_write_is_completed(tmp_path, monkeypatch):
    fs = FileSystem()
    handle = fs.create(str(tmp_path / "a"))
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: pwrite(handle, data[:3], offset))
    fs.write(handle, b"0123456789", 5)
    fs.close(handle)
    assert (tmp_path / "a").read_bytes() == bytes(5) + b"0123456789"


def test_failed_allocation_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    fs = FileSystem()
    handle = fs.create(str(tmp_path / "a"))
    fs.write(handle, b"abc", 0)

    def full(handle, offset, length):
        os.ftruncate(handle, offset + length // 2)
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="full"):
        fs.allocate(handle, 3, 100_000)
    assert fs.size(str(tmp_path / "a")) == 3
    fs.close(handle)


def test_allocation_without_fallocate_writes_zeros(tmp_path, monkeypatch):
    fs = FileSystem()
    handle = fs.create(str(tmp_path / "a"))

    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    fs.allocate(handle, 0, 100_000)
    fs.close(handle)
    assert (tmp_path / "a").read_bytes() == bytes(100_000)
    assert (tmp_path / "a").stat().st_blocks * 512 >= 100_000


def test_files_are_readable_by_their_owner_only(tmp_path):
    log = wal.Log.open(exhausted(tmp_path), 1 << 16, threaded=False)
    log.preallocate(1 << 17)
    log.close(at=1)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_file_system_leaves_no_descriptor_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        log = wal.Log.open(exhausted(tmp_path), 1 << 16)
        for _ in range(20):
            log.ensure_headroom(10000)
            log.append(b"x" * 10000)
            log.commit(at=1)
        log.preallocate(1 << 18)
        log.retire(log.segment)
        log.close(at=1)
    assert len(os.listdir("/proc/self/fd")) == before


def exhausted(directory) -> wal.Replay:
    replay = wal.Replay(directory)
    for _ in replay:
        pass
    return replay


# --- errors name the file


FAILING = {
    "write": ("pwrite", lambda fs, handle: fs.write(handle, b"x", 0)),
    "sync": ("fdatasync", lambda fs, handle: fs.sync(handle)),
    "sync_directory": ("fsync", lambda fs, handle: fs.sync_directory(handle)),
    "truncate": ("ftruncate", lambda fs, handle: fs.truncate(handle, 0)),
    "allocate": ("posix_fallocate", lambda fs, handle: fs.allocate(handle, 0, 100)),
}


@pytest.mark.parametrize("call", FAILING)
def test_error_of_an_open_file_has_its_path(tmp_path, monkeypatch, call):
    fs = FileSystem()
    path = tmp_path / "00000001.wal"
    handle = fs.create(str(path))
    system_call, act = FAILING[call]

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, system_call, fail)
    with pytest.raises(OSError) as caught:
        act(fs, handle)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(path))
    monkeypatch.undo()
    fs.close(handle)


def test_read_error_has_the_path(tmp_path):
    """/proc/self/mem can be opened, and its first page cannot be read (EIO)."""
    link = tmp_path / "00000001.wal"
    link.symlink_to("/proc/self/mem")
    with pytest.raises(OSError) as caught:
        FileSystem().read(str(link), 100)
    assert (caught.value.errno, caught.value.filename) == (errno.EIO, str(link))


def make_fifo(path: str) -> None:
    os.mkfifo(path)


def make_device(path: str) -> None:
    os.symlink("/dev/null", path)


def make_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(path)


@pytest.mark.parametrize("call", ["size", "read", "open", "lock", "locked"])
@pytest.mark.parametrize("make", [make_fifo, make_device, make_socket, os.mkdir])
def test_only_regular_files_are_opened(tmp_path, monkeypatch, make, call):
    """To open a FIFO waits for its other side, and to open a device may have effects."""
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make("a")
    monkeypatch.setattr(os, "open", None)
    monkeypatch.setattr("builtins.open", None)
    with pytest.raises(OSError) as caught:
        getattr(FileSystem(), call)("a")
    assert (caught.value.filename, caught.value.strerror) == (
        "a",
        "not a regular file: move it away",
    )


def test_lock_error_has_the_path(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.lockf", fail)
    with pytest.raises(OSError) as caught:
        FileSystem().lock(str(tmp_path / "lock"))
    assert caught.value.filename == str(tmp_path / "lock")


def test_only_a_directory_that_cannot_be_synced_is_not_an_error(tmp_path, monkeypatch):
    fs = FileSystem()
    handle = fs.open_directory(str(tmp_path))
    for error in (errno.EINVAL, errno.EOPNOTSUPP, errno.EIO, errno.ENOSPC, errno.EROFS):

        def fail(_, error=error):
            raise OSError(error, os.strerror(error))

        monkeypatch.setattr(os, "fsync", fail)
        if error in (errno.EINVAL, errno.EOPNOTSUPP):
            assert not fs.sync_directory(handle)
        else:
            with pytest.raises(OSError, match=os.strerror(error)):
                fs.sync_directory(handle)
    monkeypatch.undo()
    fs.close(handle)
