"""Segments that have each other's names, or of which one was copied over another."""

from __future__ import annotations

import shutil
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from beanstalkd_wal import repair

from tests.wal.test_repair import LOST, check, lost_lsns, records_in, repaired, written


def name(directory: Path, number: int) -> Path:
    return directory / f"{number:08}.wal"


@pytest.mark.parametrize(
    ("renames", "first"),
    [
        ([(1, 9), (2, 1), (9, 2)], (1, 2)),
        ([(2, 9), (3, 2), (9, 3)], (2, 3)),
        ([(1, 9)], (9, 1)),
        ([(3, 5)], (5, 3)),
    ],
)
def test_wrong_name_is_reported_and_loses_nothing(
    tmp_path: Path, renames: list[tuple[int, int]], first: tuple[int, int]
) -> None:
    expected = written(tmp_path)
    for old, new in renames:
        name(tmp_path, old).rename(name(tmp_path, new))
    wrong, right = first
    line = (
        f"{name(tmp_path, wrong)}: this file is segment {right} and has a wrong name: rename it to "
        f"{right:08}.wal; if two files have each other's names, exchange them"
    )
    with pytest.raises(wal.WrongName) as refused:
        records_in(tmp_path)
    assert str(refused.value) == line
    with pytest.raises(repair.BeyondRepair) as beyond:
        repair.plan(tmp_path, lost=LOST)
    assert str(beyond.value) == line
    for old, new in reversed(renames):
        name(tmp_path, new).rename(name(tmp_path, old))
    assert records_in(tmp_path) == expected


def test_only_segment_with_a_wrong_name_is_reported(tmp_path: Path) -> None:
    written(tmp_path, count=5)
    name(tmp_path, 1).rename(name(tmp_path, 3))
    with pytest.raises(wal.WrongName):
        records_in(tmp_path)


@pytest.mark.parametrize(
    ("other", "number"), [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2), (1, 4)]
)
def test_repair_after_a_copy_over_another_segment_loses_that_one(
    tmp_path: Path, other: int, number: int
) -> None:
    expected = written(tmp_path)
    bases = base_lsns(tmp_path)
    shutil.copy(name(tmp_path, other), name(tmp_path, number))
    copied = name(tmp_path, number).read_bytes()
    what, copies = repaired(tmp_path)
    kept = b"".join(Path(path).read_bytes() for path in copies)
    assert kept == copied.rstrip(b"\0")  # the last segment ends in zeros
    if number >= 3:  # how many LSNs the last segment had is unknown
        assert records_in(tmp_path) == expected[: bases.get(number, len(expected) + 1) - 1]
        assert lost_lsns(what) == set()
    else:
        assert lost_lsns(what) == set(range(bases[number], bases[number + 1]))
        check(tmp_path, expected, what)


def test_repair_after_a_copy_over_the_oldest_segment_begins_with_the_next(tmp_path: Path) -> None:
    expected = written(tmp_path)
    second, third = base_lsns(tmp_path)[2], base_lsns(tmp_path)[3]
    name(tmp_path, 1).unlink()
    assert records_in(tmp_path) == expected[second - 1 :]
    shutil.copy(name(tmp_path, 3), name(tmp_path, 2))
    what, _ = repaired(tmp_path)
    assert lost_lsns(what) == set()
    assert records_in(tmp_path) == expected[third - 1 :]


def base_lsns(directory: Path) -> dict[int, int]:
    replay = wal.Replay(directory)
    list(replay)
    return {info.number: info.base_lsn for info in replay.segments}


def test_name_that_a_damaged_segment_has_is_not_recommended(tmp_path: Path) -> None:
    """A rename would replace that segment, whose records can still be read."""
    written(tmp_path)
    shutil.copy(name(tmp_path, 2), name(tmp_path, 3))
    data = bytearray(name(tmp_path, 2).read_bytes())
    data[:1024] = bytes(1024)
    name(tmp_path, 2).write_bytes(data)
    with pytest.raises(wal.Corrupt) as refused:
        records_in(tmp_path)
    assert not isinstance(refused.value, wal.WrongName)
