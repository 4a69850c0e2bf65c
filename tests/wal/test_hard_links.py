"""A copy of the directory by hard links (`cp -al`): neither log changes a file of the other."""

import os

import pytest
from beanstalkd_wal.directory import Durability
from beanstalkd_wal.fs import FileSystem

from tests.wal.headroom_logs import SEGMENT
from tests.wal.logs import opened, records, write

FS = FileSystem()
WRITTEN = [[b"%04d" % number * 800] for number in range(8)]


def linked(directory, copy) -> None:
    copy.mkdir()
    for name in os.listdir(directory):
        os.link(directory / name, copy / name)


def segments(directory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.glob("*.wal")}


@pytest.fixture
def original(tmp_path):
    (tmp_path / "log").mkdir()
    return tmp_path / "log"


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy"


@pytest.mark.parametrize("durability", [Durability.SYNC, Durability.WINDOW])
def test_start_on_a_copy_changes_no_file_of_the_original(original, copy, durability):
    """The original's server still runs. WINDOW: the start must write its last records again."""
    log = opened(FS, durability, SEGMENT, str(original))
    write(log, *WRITTEN)
    linked(original, copy)
    before = segments(original)
    other = opened(FS, durability, SEGMENT, str(copy))
    assert segments(original) == before
    write(other, [b"other"])
    write(log, [b"log"])
    other.close(at=1)
    log.close(at=1)
    kept = [record for batch in WRITTEN for record in batch]
    assert records(FS, str(original)) == [*kept, b"log"]
    assert records(FS, str(copy)) == [*kept, b"other"]


def test_start_after_a_copy_changes_no_file_of_the_copy(original, copy):
    log = opened(FS, segment_bytes=SEGMENT, directory=str(original))
    write(log, *WRITTEN)
    linked(original, copy)
    before = segments(copy)
    opened(FS, segment_bytes=SEGMENT, directory=str(original)).close(at=1)
    assert segments(copy) == before
