"""The lock: one process at a time, and this one not twice either; the C server's kind, so the two
see each other.
"""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal.locking import locked

OTHER = """
import sys
import beanstalkd_wal as wal
from beanstalkd_wal.locking import locked
try:
    held = wal.lock(sys.argv[1])
except wal.Locked:
    print("locked", locked(sys.argv[1]))
else:
    print("free", flush=True)
    sys.stdin.read()
"""


def other(directory) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, directory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_lock_excludes_another_process(tmp_path):
    held = wal.lock(tmp_path)
    assert other(tmp_path).communicate()[0] == "locked True\n"
    held.close()
    assert other(tmp_path).communicate()[0] == "free\n"


def test_lock_of_another_process_holds_until_it_ends(tmp_path):
    process = other(tmp_path)
    assert process.stdout.readline() == "free\n"
    assert locked(tmp_path)
    with pytest.raises(wal.Locked) as caught:
        wal.lock(tmp_path)
    assert caught.value.path == str(tmp_path / "lock")
    process.kill()
    process.communicate()
    assert not locked(tmp_path)
    wal.lock(tmp_path).close()


def test_lock_excludes_its_own_process_and_survives_the_attempt(tmp_path):
    held = wal.lock(tmp_path)
    with pytest.raises(wal.Locked):
        wal.lock(os.path.join(tmp_path, ".", ""))
    assert locked(tmp_path)
    assert other(tmp_path).communicate()[0] == "locked True\n"
    held.close()
    held.close()
    assert not locked(tmp_path)
    wal.lock(tmp_path).close()


def test_lock_holds_without_its_file(tmp_path):
    held = wal.lock(tmp_path)
    held.check()
    (tmp_path / "lock").unlink()
    assert other(tmp_path).communicate()[0].startswith("locked")
    held.close()
    assert other(tmp_path).communicate()[0] == "free\n"


def test_refusal_names_what_is_locked(tmp_path):
    """The directory, if nobody holds the lock file."""
    held = wal.lock(tmp_path)
    (tmp_path / "lock").unlink()
    path = os.path.realpath(tmp_path)
    process = subprocess.run(
        [sys.executable, "-c", "import sys, beanstalkd_wal as wal; wal.lock(sys.argv[1])", path],
        stderr=subprocess.PIPE,
        text=True,
    )
    held.close()
    assert process.stderr.endswith(f"Locked: {path}: locked by another process\n")


def test_failure_to_lock_the_directory_names_it(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(OSError) as caught:
        wal.lock(tmp_path)
    assert caught.value.filename == os.path.realpath(tmp_path)


@pytest.mark.parametrize("replaced", [False, True])
def test_lock_check_notices_a_lost_file(tmp_path, replaced):
    held = wal.lock(tmp_path)
    (tmp_path / "lock").rename(tmp_path / "moved")
    if replaced:
        (tmp_path / "lock").touch()
    with pytest.raises(wal.SecondWriter) as caught:
        held.check()
    assert str(caught.value) == (
        f"{tmp_path}/lock: the lock file was removed or replaced: "
        "another server may write to this directory, run only one"
    )
    held.close()


@pytest.mark.parametrize("error", [errno.EBADF, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOLCK])
def test_directory_that_cannot_be_locked_is_no_error(tmp_path, monkeypatch, error):
    def unsupported(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    descriptors = os.listdir("/proc/self/fd")
    held = wal.lock(tmp_path)
    held.check()
    assert other(tmp_path).communicate()[0] == "locked True\n"
    held.close()
    assert os.listdir("/proc/self/fd") == descriptors


def test_locked_is_false_without_a_lock_file(tmp_path):
    assert not locked(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_lock_is_the_c_servers_file_and_kind(tmp_path):
    held = wal.lock(tmp_path)
    assert stat.S_IMODE((tmp_path / "lock").stat().st_mode) & 0o077 == 0
    probe = (
        "import fcntl,sys; f=open(sys.argv[1],'r+'); fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    )
    refused = subprocess.run(
        [sys.executable, "-c", probe, tmp_path / "lock"], capture_output=True, text=True
    )
    assert "BlockingIOError" in refused.stderr
    held.close()
    assert (tmp_path / "lock").exists()


def test_lock_of_the_c_server_excludes_us(tmp_path):
    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); "
        "print('ok', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ok\n"
    with pytest.raises(wal.Locked):
        wal.lock(tmp_path)
    process.communicate()


def test_lock_of_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        wal.lock(tmp_path / "nowhere")


def test_fcntl_lock_ends_when_any_descriptor_is_closed():
    assert fcntl.LOCK_EX | fcntl.LOCK_NB == 6
