"""One writer: a log whose lock is lost, or that meets a name which only another writer can have
made, fails before it changes a name.
"""

from __future__ import annotations

import beanstalkd_wal as wal
import pytest
from simulation.disk import MemoryDisk, PowerFailure

from tests.wal.logs import DIRECTORY, SEGMENT, opened, records, segment, spares, torn_files, write

LOCK = f"{DIRECTORY}/lock"
SMALL = [b"x" * 1000]  # seven of them fill a segment


def locked_log(disk: MemoryDisk) -> wal.Log:
    return opened(disk, lock=wal.Lock(disk, LOCK))


def contents(disk: MemoryDisk) -> dict[str, bytes]:
    return {path: bytes(file.data) for path, file in disk.names.items()}


def new_file(disk: MemoryDisk, path: str, content: bytes) -> None:
    handle = disk.create(path)
    disk.write(handle, content, 0)
    disk.close(handle)


def fill(log: wal.Log) -> None:
    """Until the active segment is nearly full."""
    log.preallocate(2 * SEGMENT)
    while log.left > 1100:
        write(log, SMALL)


def test_rotation_does_not_replace_a_segment():
    disk = MemoryDisk()
    log = opened(disk)
    fill(log)
    new_file(disk, f"{DIRECTORY}/other", b"of another server")
    disk.rename(f"{DIRECTORY}/other", segment(2))
    with pytest.raises(wal.SecondWriter) as caught:
        write(log, SMALL)
        log.collect()
    assert str(caught.value) == (
        f"{segment(2)}: the file exists already: "
        "another server may write to this directory, run only one"
    )
    assert disk.read(segment(2)) == b"of another server"
    with pytest.raises(wal.SecondWriter):
        log.append(b"more")
    with pytest.raises(wal.SecondWriter):
        log.close(at=1)


def test_new_spare_does_not_replace_a_file():
    disk = MemoryDisk()
    log = opened(disk)
    taken = f"{DIRECTORY}/spare.2"
    new_file(disk, taken, b"of another server")
    with pytest.raises(wal.SecondWriter, match=r"spare\.2: the file exists"):
        log.ensure_headroom(2 * SEGMENT)
    assert disk.read(taken) == b"of another server"
    with pytest.raises(wal.SecondWriter):
        log.append(b"more")


def test_start_does_not_replace_a_segment():
    """The other server has created the next segment since this one listed the directory."""
    disk = MemoryDisk()
    write(opened(disk), SMALL)
    disk = disk.copy()
    replay = wal.Replay(DIRECTORY, fs=disk)
    list(replay)
    new_file(disk, segment(2)[:-4], b"of another server")
    disk.rename(segment(2)[:-4], segment(2))
    with pytest.raises(wal.SecondWriter):
        wal.Log.open(replay, SEGMENT, threaded=False)
    assert disk.read(segment(2)) == b"of another server"
    assert not disk.handles


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("act", ["rotate", "preallocate", "allocate", "retire", "check"])
def test_lost_lock_stops_the_log_before_it_changes_a_name(act: str, replaced: bool):
    disk = MemoryDisk()
    log = locked_log(disk)
    fill(log)
    fill_next(log)
    disk.unlink(LOCK)
    if replaced:
        wal.Lock(disk, LOCK) if not disk.locks_directories else new_file(disk, LOCK, b"")
    before = contents(disk)
    with pytest.raises(wal.SecondWriter, match="/log/lock: the lock file was removed or replaced"):
        ACTS[act](log)
        log.collect()
    assert contents(disk) == before
    with pytest.raises(wal.SecondWriter):
        log.append(b"more")


def fill_next(log: wal.Log) -> None:
    write(log, SMALL)
    while log.left > 1100:
        write(log, SMALL)


ACTS = {
    "rotate": lambda log: write(log, SMALL),
    "preallocate": lambda log: log.preallocate(10 * SEGMENT),
    "allocate": lambda log: log.ensure_headroom(10 * SEGMENT),
    "retire": lambda log: log.retire(log.segment),
    "check": lambda log: log.check_lock(),
}


def test_second_server_is_refused_although_the_lock_file_is_gone():
    disk = MemoryDisk()
    locked_log(disk)
    disk.unlink(LOCK)
    with pytest.raises(wal.Locked):
        wal.Lock(disk, LOCK)


def test_torn_tail_kept_aside_replaces_no_file():
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"a"], [b"b"])
    last = list(wal.Replay(DIRECTORY, fs=disk))[-1]
    disk.names[segment(1)].data[last.end - 1] ^= 1
    disk = disk.copy()
    new_file(disk, f"{DIRECTORY}/torn.1.{last.offset}", b"another torn tail")
    opened(disk)
    assert torn_files(disk)[f"torn.1.{last.offset}"] == b"another torn tail"
    assert len(torn_files(disk)) == 2


# --- a file system that renames in two steps


def killed_in_the_middle_of_a_rename(log: wal.Log, disk: MemoryDisk, path: str) -> MemoryDisk:
    """The process is killed when a file has both names."""

    def die(call: str, at: str) -> None:
        if call == "unlink" and path in at:
            raise PowerFailure

    disk.before = die
    with pytest.raises(PowerFailure):
        write(log, SMALL)
        log.retire(log.segment)
    return disk.after_kill()


@pytest.mark.parametrize("path", ["spare.", ".wal"])
def test_file_with_both_names_stays_a_segment(path: str):
    disk = MemoryDisk()
    disk.renames_by_link = True
    log = opened(disk)
    fill(log)
    expected = records(disk)
    if path == ".wal":
        disk.capacity = disk.used()  # so a retired segment becomes a spare
        log.preallocate(100 * SEGMENT)
        expected += SMALL
    left = killed_in_the_middle_of_a_rename(log, disk, path)
    twice = [name for name in left.names if left.links(name) > 1]
    assert len(twice) == 2
    log = opened(left)
    log.preallocate(4 * SEGMENT)
    assert records(left) == expected
    assert not [name for name in left.names if left.links(name) > 1]
    assert spares(left)
