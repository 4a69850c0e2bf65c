"""Repair of a directory that two servers have written: one branch of the log is kept whole, and
the segments of the other are set aside.
"""

from __future__ import annotations

from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import repair
from simulation.disk import MemoryDisk, PowerFailure

from tests.wal.logs import DIRECTORY, opened, records, segment, write

LOST = b"lost"


def branched(first: int, second: int, rotate: bool = False) -> MemoryDisk:
    """Two servers without a lock: so many records after the second has started. rotate: then the
    second begins another segment.
    """
    disk = MemoryDisk()
    disk.has_two_writers = True
    one = opened(disk)
    write(one, [b"shared"])
    two = opened(disk, segment_bytes=4096)
    write(two, *([b"two %d" % number] for number in range(second)))
    if rotate:
        write(two, [b"x" * 3500])
    write(one, *([b"one %d" % number] for number in range(first)))
    return disk.copy()


def repaired(disk: MemoryDisk) -> repair.Plan:
    before = {path: bytes(file.data) for path, file in disk.names.items()}
    what = repair.plan(DIRECTORY, lost=LOST, fs=disk)
    assert {path: bytes(file.data) for path, file in disk.names.items()} == before
    repair.mend(what, disk)
    again = repair.plan(DIRECTORY, lost=LOST, fs=disk)
    assert not again.changes and not again.losses
    return what


def aside(disk: MemoryDisk) -> dict[str, bytes]:
    return {
        path.rpartition("/")[2]: bytes(file.data)
        for path, file in disk.names.items()
        if "/second-writer." in path
    }


@pytest.mark.parametrize("second", [1, 2, 3])
def test_longer_branch_of_the_second_server_is_kept(second: int) -> None:
    disk = branched(first=1, second=second)
    whole = disk.read(segment(1))
    with pytest.raises(wal.Corrupt):
        records(disk)
    what = repaired(disk)
    assert records(disk) == [b"shared", *(b"two %d" % number for number in range(second))]
    assert [(each.number, each.records, each.moved) for each in what.aside] == [(1, 1, False)]
    assert aside(disk) == {"second-writer.1": whole}
    assert not what.losses


@pytest.mark.parametrize("rotate", [False, True])
def test_longer_branch_of_the_first_server_is_kept(rotate: bool) -> None:
    disk = branched(first=4, second=2, rotate=rotate)
    moved = {2, 3} if rotate else {2}
    whole = {f"second-writer.{number}": disk.read(segment(number)) for number in moved}
    what = repaired(disk)
    assert records(disk) == [b"shared", *(b"one %d" % number for number in range(4))]
    assert sum(each.records for each in what.aside) == 2 + rotate
    assert aside(disk) == whole
    assert not what.losses


def test_branch_without_records_is_set_aside() -> None:
    disk = branched(first=1, second=0)
    repaired(disk)
    assert records(disk) == [b"shared", b"one 0"]


def two_chains(early: int, late: int) -> MemoryDisk:
    """As if a segment had replaced the other server's segment of the same number."""
    disk = MemoryDisk()
    log = opened(disk)
    write(log, [b"shared"])
    log.close(at=1)
    left = disk.copy()
    for server, count, number in ((b"one", early, 2), (b"two", late, 3)):
        other = disk.copy()
        other.rng.seed(number)  # for its segment ids
        for _ in range(number - 2):
            write(opened(other), [b"gone"])
        write(opened(other), *([b"%b %d" % (server, each)] for each in range(count)))
        left.names[segment(number)] = other.copy().names[segment(number)]
    return left


@pytest.mark.parametrize(("early", "late"), [(5, 2), (1, 2)])
def test_segments_of_another_chain_are_set_aside(early: int, late: int) -> None:
    disk = two_chains(early, late)
    last = disk.read(segment(3))
    what = repaired(disk)
    assert records(disk) == [b"shared", *(b"one %d" % number for number in range(early))]
    assert [(each.number, each.records, each.moved) for each in what.aside] == [(3, late, True)]
    assert aside(disk) == {"second-writer.3": last}


def test_longer_chain_without_its_beginning_is_refused() -> None:
    """To keep it would mean to drop what both servers have read at their start."""
    disk = two_chains(2, 5)
    with pytest.raises(
        repair.BeyondRepair,
        match="segments 1 to 2 have 3 records, and segments 3 to 3 have 5: copy the directory",
    ):
        repair.plan(DIRECTORY, lost=LOST, fs=disk)


@pytest.mark.parametrize(("first", "rotate"), [(1, True), (9, True)])
def test_killed_repair_of_two_branches_can_be_repeated(first: int, rotate: bool) -> None:
    expected = branched(first, 4, rotate)
    repaired(expected)
    for at in range(1, 100):
        disk = branched(first, 4, rotate)
        left = at

        def die(call: str, path: str) -> None:
            nonlocal left
            left -= not call.startswith(("read", "list", "size"))
            if not left:
                raise PowerFailure

        disk.before = die
        try:
            repair.mend(repair.plan(DIRECTORY, lost=LOST, fs=disk), disk)
        except PowerFailure:
            disk = disk.after_kill()
            repaired(disk)
            assert records(disk) == records(expected)
        else:
            break
    assert at > 5


def test_repair_replaces_no_file_of_an_earlier_repair() -> None:
    disk = branched(first=1, second=3)
    handle = disk.create(f"{DIRECTORY}/second-writer.1")
    disk.write(handle, b"of an earlier repair", 0)
    repaired(disk)
    assert aside(disk)["second-writer.1"] == b"of an earlier repair"
    assert len(aside(disk)) == 2


def test_repair_of_two_logs_is_refused(tmp_path: Path) -> None:
    disk, other = MemoryDisk(1), MemoryDisk(2)
    write(opened(disk), [b"a"])
    write(opened(other), [b"b"])
    other = other.copy()
    write(opened(other), [b"c"])
    disk.names[segment(2)] = other.copy().names[segment(2)]
    with pytest.raises(repair.BeyondRepair, match="move away what does not belong"):
        repair.plan(DIRECTORY, lost=LOST, fs=disk)
