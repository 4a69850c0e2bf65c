"""Binlogs of C servers on other machines: 32-bit x86, whose structs differ, and big-endian ones."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from beanstalkd_py.foreign.cbinlog import CBinlog
from beanstalkd_py.foreign.cbinlog.format import V5, V5_X86, V7, V7_X86, Jobrec, Layout

from .logs import BORN, HEADER, SECOND, Rec, ids, kinds, make, messages, read

HEADER_5 = struct.pack("<i", 5)
Write = Callable[[Rec], bytes]
MACHINES = {
    "x86-64": (HEADER, Rec.full, Rec.short),
    "x86": (HEADER, Rec.full_x86, Rec.short_x86),
    "x86-64, version 5": (HEADER_5, Rec.full_v5, Rec.short_v5),
    "x86, version 5": (HEADER_5, Rec.full_v5_x86, Rec.short_v5_x86),
}
JOBS = [
    Rec(1, body=b""),
    Rec(2, tube=b"x" * 200, pri=0, delay=9 * SECOND, state=4, deadline_at=BORN + 10 * SECOND),
    Rec(3, tube=b"a", body=b"0123456789" * 300, ttr=SECOND, pri=2**32 - 1),
    Rec(4, ttr=(2**32 - 1) * SECOND),
]


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> tuple[bytes, Write, Write]:
    return MACHINES[request.param]


def shown(binlog: CBinlog) -> list[tuple[object, ...]]:
    return [
        (job.id, job.tube, job.body, job.pri, job.delay_ns, job.ttr_ns, job.state, job.buries)
        for job in binlog.jobs
    ]


def test_layout_of_x86_has_the_sizes_of_its_structs() -> None:
    """sizeof(Jobrec) is 72 there, and offsetof(Jobrec5, state) + 1 is 69."""
    assert (V7_X86.jobrec.size, V7_X86.short_size) == (72, 76)
    assert (V5_X86.jobrec.size, V5_X86.short_size) == (69, 73)


@pytest.mark.parametrize(
    ("layout", "data"),
    [(V7, Rec.struct), (V7_X86, Rec.struct_x86), (V5, Rec.struct_v5), (V5_X86, Rec.struct_v5_x86)],
)
def test_each_field_is_at_its_place(layout: Layout, data: Write) -> None:
    rec = Rec(7, pri=2, delay=3 * SECOND, ttr=4 * SECOND, deadline_at=BORN + 5000, state=3).but(
        reserves=6, timeouts=7, releases=8, buries=9, kicks=10, created_at=BORN
    )
    job = Jobrec(
        7, 2, 3 * SECOND, 4 * SECOND, 7, BORN, BORN + 5000, 6, 7, 8, 9, 10, 3
    )  # fmt: skip
    assert layout.decode(b"xy" + data(rec), 2) == job
    assert data(rec)[layout.state_offset] == 3
    assert not any(layout.padding(data(rec), 0))


def test_jobs_of_each_machine_are_read(machine: tuple[bytes, Write, Write], tmp_path: Path) -> None:
    header, full, short = machine
    first = header + b"".join(map(full, JOBS)) + short(JOBS[0].buried()) + bytes(500)
    second = header + short(JOBS[2].deleted()) + full(Rec(5)) + short(JOBS[1].kicked())
    binlog = read(tmp_path, first, second)
    assert (ids(binlog), messages(binlog), binlog.next_id) == ([2, 4, 5, 1], [], 6)
    wanted = [JOBS[1].kicked(), JOBS[3], Rec(5), JOBS[0].buried()]
    assert shown(binlog) == [
        (rec.id, rec.tube, rec.body, rec.pri, rec.delay, rec.ttr, rec.state, rec.buries)
        for rec in wanted
    ]


def test_file_that_begins_with_a_damaged_record_is_read(
    machine: tuple[bytes, Write, Write], tmp_path: Path
) -> None:
    header, full, _ = machine
    damaged = bytearray(header + b"".join(map(full, JOBS)))
    damaged[len(header)] = 250  # the length of the first name
    binlog = read(tmp_path, bytes(damaged))
    assert ids(binlog) == [2, 3, 4]
    assert kinds(binlog) == ["damage"]


def test_file_cut_in_its_first_record_is_torn(
    machine: tuple[bytes, Write, Write], tmp_path: Path
) -> None:
    header, full, _ = machine
    binlog = read(tmp_path, header + full(JOBS[2])[:500])
    assert (ids(binlog), kinds(binlog)) == ([], ["torn"])


@pytest.mark.parametrize("inner", [Rec.full, Rec.full_x86])
def test_record_of_another_machine_in_a_body_is_a_body(
    machine: tuple[bytes, Write, Write], inner: Write, tmp_path: Path
) -> None:
    header, full, _ = machine
    job = Rec(8, body=inner(Rec(9)))
    binlog = read(tmp_path, header + full(job) + full(Rec(10)))
    assert (ids(binlog), binlog.jobs[0].body, messages(binlog)) == ([8, 10], job.body, [])


@pytest.mark.parametrize("version", [5, 7])
def test_big_endian_file_is_refused_with_a_line_that_says_so(version: int, tmp_path: Path) -> None:
    make(tmp_path, struct.pack(">i", version) + bytes(4096))
    binlog = read(tmp_path)
    assert kinds(binlog) == ["damage"]
    (message,) = messages(binlog)
    assert message.startswith(
        f"binlog.1:0: version {version}, but written on another kind of machine (big-endian)"
    )


def test_unknown_version_is_no_other_machine(tmp_path: Path) -> None:
    binlog = read(tmp_path, struct.pack("<i", 8) + bytes(4096))
    assert messages(binlog) == ["binlog.1:0: unknown version: 8"]
