"""Damaged logs: nothing raises, all damage is reported, other jobs are intact, and reading goes on
where the C server stops.
"""

from __future__ import annotations

import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beanstalkd_py.foreign.cbinlog import CJob, Damage, Kind
from beanstalkd_py.foreign.cbinlog.files import read_file
from beanstalkd_py.foreign.cbinlog.replay import Replay
from beanstalkd_py.foreign.cbinlog.segment import Segment

from .logs import (
    BORN,
    BURIED,
    HEADER,
    READY,
    Rec,
    ids,
    kinds,
    log,
    make,
    messages,
    offsets,
    read,
)

JOBS = [Rec(id, b"tube-%d" % id, b"body %d" % id) for id in range(1, 6)]
ONE, TWO, THREE, FOUR, FIVE = JOBS
RECORDS = [
    ONE.full(), TWO.full(), ONE.buried().short(), THREE.full(), TWO.released().short(),
    FOUR.full(), THREE.deleted().short(), ONE.buried().kicked().full(),
    TWO.released().kicked().short(), FIVE.full(),
]  # fmt: skip


def replayed(*files: bytes) -> tuple[dict[int, CJob], list[Damage], list[int], int]:
    """Jobs, reports, doubtful ids and the next id, without a directory."""
    damages: list[Damage] = []
    replay = Replay(damages.append)
    for number, data in enumerate(files):
        replay.read(number, Segment(f"binlog.{number}", data, damages.append), lambda offset: None)
    doubtful = replay.finish()
    return {job.id: job for job in replay.take_jobs()}, damages, doubtful, replay.next_id


INTACT = replayed(log(*RECORDS, zeros=100))[0]


def test_log_to_be_damaged_is_intact():
    jobs, damages, doubtful, next_id = replayed(log(*RECORDS, zeros=100))
    assert sorted(jobs) == [1, 2, 4, 5]
    assert (damages, doubtful, next_id) == ([], [], 6)


# One bit


@pytest.mark.parametrize("at", range(len(RECORDS)))
def test_flipped_bit_damages_one_job_only(at):
    whole = log(*RECORDS, zeros=100)
    starts = offsets(RECORDS)
    hit = struct.unpack_from("<Q", RECORDS[at], 4 + RECORDS[at][0])[0]
    for bit in range(starts[at] * 8, starts[at + 1] * 8):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        jobs, damages, _, _ = replayed(bytes(data))
        others = {id: job for id, job in jobs.items() if id != hit and id in INTACT}
        wanted = {id: job for id, job in INTACT.items() if id != hit}
        if not any(damage.kind is Kind.DAMAGE for damage in damages):
            assert others == wanted, f"bit {bit}"
        else:
            assert others.keys() == wanted.keys(), f"bit {bit}: {damages}"
        named = {id for damage in damages for id in damage.job_ids}
        assert {id for id in others if others[id] != wanted[id]} <= named, f"bit {bit}: {damages}"


@pytest.mark.parametrize("at", range(len(RECORDS)))
def test_flipped_bit_that_changes_the_jobs_is_reported(at):
    whole = log(*RECORDS, zeros=100)
    starts = offsets(RECORDS)
    id_at = 4 + RECORDS[at][0]
    for bit in range(starts[at] * 8, starts[at + 1] * 8):
        if at in (0, 5, 7, 9) and id_at <= bit // 8 - starts[at] < id_at + 8:
            # there is nothing else in the log, or a whole copy, to tell that the id is another
            continue
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        jobs, damages, doubtful, _ = replayed(bytes(data))
        if not damages:
            assert jobs.keys() == INTACT.keys(), f"bit {bit}"
            assert [job.body[:4] for job in jobs.values()] == [b"body"] * 4 or at in (0, 1, 5, 7, 9)
        if 3 in jobs:
            assert 3 in doubtful, f"bit {bit}: {damages}"


def test_flipped_bit_in_the_version_skips_the_file():
    for bit in range(32):
        data = bytearray(log(*RECORDS))
        data[bit // 8] ^= 1 << bit % 8
        jobs, damages, _, _ = replayed(bytes(data))
        assert jobs == {}
        assert damages[0].kind is Kind.DAMAGE


# Any bytes


@given(st.data())
def test_reader_never_raises(data):
    binlog = bytearray(log(*RECORDS, zeros=20))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(binlog)))
        end = data.draw(st.integers(at, min(len(binlog), at + 200)))
        binlog[at:end] = data.draw(
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from(RECORDS),
                st.just(bytes(90)),
                st.just(binlog[at + 3 : end]),
            )
        )
    _, damages, _, next_id = replayed(bytes(binlog), log(*RECORDS[:2]))
    assert next_id >= 3
    assert all(0 <= damage.offset <= len(binlog) + 1000 for damage in damages)


@given(st.binary(max_size=400), st.sampled_from([b"\x05\0\0\0", b"\x07\0\0\0"]))
def test_random_bytes_give_no_jobs(garbage, header):
    jobs, _, _, next_id = replayed(header + garbage)
    assert jobs == {}
    assert next_id == 1


@pytest.mark.parametrize("version", [5, 7])
def test_file_may_be_cut_anywhere(version):
    whole = (
        log(*RECORDS)
        if version == 7
        else b"\x05\0\0\0" + b"".join(job.full_v5() + job.buried().short_v5() for job in JOBS)
    )
    intact = replayed(whole)[0]
    starts = offsets(RECORDS)
    for end in range(4, len(whole)):
        jobs, damages, doubtful, _ = replayed(whole[:end])
        assert len(jobs) <= len(intact) + (version == 7)  # job 3, before it is deleted
        assert not any(damage.kind is Kind.DAMAGE for damage in damages), f"end {end}: {damages}"
        assert doubtful == []
        if version == 7:
            rest = whole[max(start for start in starts if start <= end) : end]
            assert (damages == []) == (len(rest) < 4 and not any(rest)), f"end {end}: {damages}"


# Where the C server stops


def goes_on(bad: bytes) -> bytes:
    return log(ONE.full(), bad, TWO.full(), ONE.buried().short())


AT = len(log(ONE.full()))
BAD = Rec(9, b"bad", b"lost body")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (struct.pack("<i", 201) + BAD.full()[4:], f"{AT}: namelen 201 exceeds maximum of 200"),
        (struct.pack("<i", -5) + BAD.full()[4:], f"{AT}: namelen -5 is negative"),
        (
            b"\xff\x00garbage that is no record at all\xff" * 5,
            f"{AT}: namelen 1634140415 exceeds maximum of 200",
        ),
        (bytes(200), f"{AT + 4}: no job id, and not the end either"),
        (
            BAD.but(body_size=10**9).full(),
            f"{AT + 87}: unexpected EOF reading 1000000000 bytes (got 193): job body",
        ),
        (BAD.but(body_size=-1).full(), f"{AT + 7}: job 9 has a body of -1 bytes"),
        (BAD.but(body_size=1).full(), f"{AT + 7}: job 9 has a body of 1 bytes"),
        (
            BAD.but(body_size=(1 << 30) + 3).full(),
            f"{AT + 7}: job 9 has a body of 1073741827 bytes",
        ),
        (BAD.full()[:-2] + b"\n\n", f"{AT + 87}: the body of job 9 does not end in CRLF"),
        (BAD.full()[:-1], f"{AT + 87}: the body of job 9 does not end in CRLF"),
        (BAD.full()[:50], f"{AT + 87}: the body of job 9 does not end in CRLF"),
        (BAD.short()[:40], f"{AT}: not a record that the C server writes"),
    ],
)
def test_reading_goes_on_after_damage(tmp_path, bad, message):
    binlog = read(tmp_path, goes_on(bad))
    assert [(job.id, job.state) for job in binlog.jobs] == [(2, READY), (1, BURIED)]
    assert kinds(binlog)[0] == "damage"
    assert messages(binlog)[0].startswith(f"binlog.1:{message}")
    assert f"; reading goes on at {AT + len(bad)}" in messages(binlog)[0]
    assert binlog.damaged


@pytest.mark.parametrize("lost", range(len(RECORDS)))
@pytest.mark.parametrize("fill", [0, 0xFF])
def test_overwritten_record_loses_that_record_only(lost, fill):
    records = [*RECORDS[:lost], bytes([fill]) * len(RECORDS[lost]), *RECORDS[lost + 1 :]]
    jobs, damages, doubtful, _ = replayed(log(*records, zeros=100))
    without, _, _, _ = replayed(log(*RECORDS[:lost], *RECORDS[lost + 1 :], zeros=100))
    assert jobs == without
    if lost < len(RECORDS) - 1 or fill:
        assert damages[0].offset in {offsets(RECORDS)[lost], offsets(RECORDS)[lost] + 4}
        assert damages[0].kind is Kind.DAMAGE
    if 3 in jobs:
        assert 3 in doubtful


def test_sector_of_zeros_loses_its_content_only(tmp_path):
    jobs = [Rec(id, b"tube", b"x" * 30) for id in range(1, 60)]
    records = [job.full() for job in jobs]
    data = bytearray(log(*records))
    data[1024:1536] = bytes(512)
    starts = offsets(records)
    survivors = [
        job.id
        for job, start, end in zip(jobs, starts, starts[1:], strict=False)
        if end <= 1024 or start >= 1536
    ]
    binlog = read(tmp_path, bytes(data))
    assert ids(binlog) == survivors
    assert binlog.damaged


def test_damage_to_the_end_of_a_file_keeps_the_next_file(tmp_path):
    binlog = read(tmp_path, log(ONE.full(), b"\xff" * 300), log(TWO.full()))
    assert ids(binlog) == [1, 2]
    assert messages(binlog) == [
        f"binlog.1:{AT}: namelen -1 is negative; job 1 before it may be cut short"
    ]
    assert binlog.maybe_deleted == [1]


@pytest.mark.parametrize("header", [b"\x05\0\0\0", HEADER])
def test_damage_at_the_end_is_reported_once(tmp_path, header):
    for zeros in range(100):
        assert kinds(read(tmp_path, header + b"\xff" * 50 + bytes(zeros))) == ["damage"]


def test_short_record_between_damage_is_not_used(tmp_path):
    noise = b"\xff" * 100
    assert ids(
        read(tmp_path, log(ONE.full(), noise, ONE.deleted().short(), noise, TWO.full()))
    ) == [1, 2]
    assert ids(read(tmp_path, log(ONE.full(), noise, ONE.deleted().short(), TWO.full()))) == [2]
    assert ids(read(tmp_path, log(ONE.full(), noise, ONE.deleted().short(), zeros=100))) == []


def test_full_record_between_damage_is_used(tmp_path):
    noise = b"\xff" * 100
    assert ids(read(tmp_path, log(ONE.full(), noise, THREE.full(), noise, TWO.full()))) == [1, 2, 3]


def test_record_inside_a_body_is_not_used(tmp_path):
    smuggled = Rec(77).full() + ONE.deleted().short()
    binlog = read(tmp_path, log(ONE.full(), Rec(2, body=smuggled).full()))
    assert ids(binlog) == [1, 2]
    assert binlog.damages == []


# What may have been deleted


def test_jobs_before_damage_may_be_deleted(tmp_path):
    binlog = read(
        tmp_path, log(ONE.full(), TWO.full(), b"\xff" * 84, THREE.full(), ONE.buried().short())
    )
    assert ids(binlog) == [2, 3, 1]
    assert binlog.maybe_deleted == [2]


def test_body_without_crlf_hides_no_records(tmp_path):
    binlog = read(tmp_path, log(ONE.full(), BAD.full()[:-2] + b"xx", TWO.full()))
    assert (ids(binlog), binlog.maybe_deleted) == ([1, 2], [])
    assert [damage.job_ids for damage in binlog.damages] == [(9, 1)]
    assert binlog.next_id == 10


def test_file_of_another_version_is_reported(tmp_path):
    binlog = read(tmp_path, log(ONE.full()), b"\x08\0\0\0" + ONE.deleted().short(), log(TWO.full()))
    assert ids(binlog) == [1, 2]
    assert messages(binlog) == ["binlog.2:0: unknown version: 8"]
    assert (kinds(binlog), binlog.maybe_deleted) == (["damage"], [1])
    assert (tmp_path / "binlog.2").read_bytes() == b"\x08\0\0\0" + ONE.deleted().short()


def test_files_missing_in_between_are_reported(tmp_path):
    make(tmp_path, log(ONE.full()), first=3)
    make(tmp_path, log(TWO.full()), first=5)
    make(tmp_path, log(THREE.full()), first=1_000_000_000)
    binlog = read(tmp_path)
    assert ids(binlog) == [1, 2, 3]
    assert messages(binlog) == [
        "binlog.4:0: open: No such file or directory",
        "binlog.6:0: open: No such file or directory, nor any up to binlog.999999999",
    ]
    assert (kinds(binlog), binlog.maybe_deleted) == (["damage"] * 2, [1, 2])


def test_files_missing_at_the_beginning_were_compacted_away(tmp_path):
    make(tmp_path, log(ONE.full()), first=30)
    assert read(tmp_path).damages == []


def test_file_name_with_leading_zeros_means_its_number(tmp_path):
    (tmp_path / "binlog.007").write_bytes(log(ONE.full()))
    binlog = read(tmp_path)
    assert binlog.jobs == []
    assert messages(binlog) == ["binlog.7:0: read: No such file or directory"]
    assert binlog.damaged


def test_fifo_and_directory_are_reported(tmp_path):
    make(tmp_path, log(ONE.full()))
    (tmp_path / "binlog.2").mkdir()
    os.mkfifo(tmp_path / "binlog.3")
    binlog = read(tmp_path)
    assert ids(binlog) == [1]
    assert messages(binlog) == [
        "binlog.2:0: read: Not a regular file",
        "binlog.3:0: read: Not a regular file",
    ]
    assert binlog.maybe_deleted == [1]


def test_readable_part_of_a_file_on_a_bad_disk_is_used(tmp_path, monkeypatch):
    make(tmp_path, log(ONE.full()), log(TWO.full()))
    real = os.read
    reads = iter([real, None])

    def fail(fd: int, size: int) -> bytes:
        if next(reads, real) is None:
            raise OSError(5, "Input/output error")
        return real(fd, size)

    monkeypatch.setattr(os, "read", fail)
    binlog = read(tmp_path)
    assert ids(binlog) == [1, 2]
    assert messages(binlog) == [f"binlog.1:{AT}: read: Input/output error"]
    assert binlog.maybe_deleted == [1]


def test_file_is_read_to_its_end(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "x").write_bytes(data)
    assert read_file(str(tmp_path / "x")) == (data, None)


def test_damaged_header_is_reported(tmp_path):
    binlog = read(tmp_path, HEADER[:3], log(ONE.full()))
    assert messages(binlog) == ["binlog.1:0: unexpected EOF reading 4 bytes (got 3): version"]
    assert kinds(binlog) == ["damage"]
    binlog = read(tmp_path, log(ONE.full()), HEADER[:3])
    assert (kinds(binlog), binlog.maybe_deleted) == (["damage"], [1])


class Counting(bytes):
    """Knows how much was copied out of it."""

    copied = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        Counting.copied += len(found) if isinstance(place, slice) else 0
        return found


def test_search_copies_no_bodies():
    """A client may fill bodies with what looks like records, each with a body up to the end of the
    file: not 50 times the file is copied then.
    """
    end = 100_000
    data = HEADER + b"\xff" * 4
    while len(data) < end // 2:
        size = len(Rec(1 << 63, created_at=BORN).full()) - len(b"hello\r\n")
        data += Rec(1 << 63, created_at=BORN, body_size=end - len(data) - size).full()[:size]
    data = data.ljust(end - 2, b"x") + b"\r\n" + b"\xff" * 200
    Counting.copied = 0
    segment = Segment("binlog.1", Counting(data), lambda damage: None)
    assert segment.take() is None
    assert Counting.copied < 2 * end
