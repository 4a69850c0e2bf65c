"""The last record of a file is cut at each byte, by the end of the file or by zeros. It is torn,
and never a delete, a broken body or damage.
"""

from __future__ import annotations

import pytest

from beanstalkd_py.foreign.cbinlog import CBinlog, CJob

from .logs import (
    BORN,
    DELAYED,
    HEADER,
    SECOND,
    Rec,
    ids,
    kinds,
    log,
    messages,
    read,
)

ONE = Rec(1, b"tube", b"first")
NONZERO_ID = 0x1122334455667788
JOB = Rec(NONZERO_ID, b"tube", b"second", created_at=BORN)
LATE = JOB.but(state=DELAYED, delay=5 * SECOND, deadline_at=BORN + 5 * SECOND)

UPDATES = {
    "bury": (JOB, JOB.buried().short()),
    "bury, same pri": (JOB, JOB.buried(JOB.pri).short()),
    "bury again": (JOB.buried().kicked(), JOB.buried().kicked().buried().short()),
    "release": (JOB, JOB.released().short()),
    "release the same": (LATE, LATE.released(5 * SECOND).short()),
    "kick buried": (JOB.buried(), JOB.buried().kicked().short()),
    "kick delayed": (LATE, LATE.kicked().short()),
    "copy": (JOB.buried(), JOB.buried().full()),
    "copy reserved": (JOB, JOB.reserved().full()),
}
PUTS = {"put": JOB.full(), "put delayed": LATE.full(), "put empty": JOB.but(body=b"").full()}

# With zeros behind that many bytes of the job, these are what a real delete of it looks like, byte
# for byte: `judgement` says what is done then.
AMBIGUOUS = {
    "bury, same pri": {48, *range(56, 69)},  # the job deleted unreserved, or reserved
    "release": {*range(65, 77)},  # released with delay 0, then deleted
    "release the same": {
        *range(56, 77)
    },  # 56: deleted after a restart, which computes the deadline anew
    "kick buried": {*range(69, 73)},
    "kick delayed": {*range(56, 73)},
}


def cuts(record: bytes) -> range:
    return range(1, len(record))


def whole(record: bytes, cut: int) -> bool:
    """Whether all that is lost of a record is zeros."""
    return not any(record[cut:])


@pytest.mark.parametrize("update", UPDATES)
@pytest.mark.parametrize("zeros", [0, 300])
def test_torn_update_leaves_the_job_as_it_was(tmp_path, update, zeros):
    before, record = UPDATES[update]
    intact = read(tmp_path, log(ONE.full(), before.full())).jobs
    for cut in cuts(record):
        binlog = read(
            tmp_path,
            log(
                ONE.full(),
                before.full(),
                record[:cut],
                zeros=zeros + len(record) - cut if zeros else 0,
            ),
        )
        if whole(record, cut) and zeros:
            assert len(binlog.jobs) == 2
            assert binlog.damages == []
        elif zeros and cut - 4 in AMBIGUOUS.get(update, ()):
            assert ids(binlog) == [1]
        else:
            assert binlog.jobs == intact, f"cut at {cut}"
            assert not binlog.damaged
            assert "torn" in kinds(binlog) or not any(record[:cut]), f"cut at {cut}"
        assert binlog.maybe_deleted == []


def test_kick_torn_before_its_state_is_no_delete(tmp_path):
    before, record = UPDATES["kick buried"]
    binlog = read(tmp_path, log(ONE.full(), before.full(), record[:80], zeros=300))
    assert len(binlog.jobs) == 2
    assert messages(binlog) == [
        f"binlog.1:195: an update of job {NONZERO_ID}, not a delete: unfinished"
    ]


@pytest.mark.parametrize("shift", range(0, 80, 4))
def test_delete_that_may_be_a_torn_bury_is_reported(tmp_path, shift):
    # The state stands 80 bytes into the record. A sector that ends in what is zero there may have
    # been the last that was written.
    filler = Rec(2, body=b"x" * (512 - 4 - len(Rec(2).full()) - 80 + 5 - len(JOB.full()) + shift))
    delete = JOB.reserved().deleted().short()
    start = len(log(filler.full(), JOB.full()))
    assert start == 512 - 80 + shift
    sector_is_in_the_zeros = (
        len((log(filler.full(), JOB.full()) + delete).rstrip(b"\0")) <= 512 <= start + 80
    )
    binlog = read(tmp_path, log(filler.full(), JOB.full(), delete, zeros=300))
    assert ids(binlog) == [2]
    assert kinds(binlog) == (["torn"] if sector_is_in_the_zeros else [])
    assert sector_is_in_the_zeros == (shift <= 16)
    assert (
        read(tmp_path, log(filler.full(), JOB.full(), delete)).damages == []
    )  # a file that ends here was closed


@pytest.mark.parametrize("put", PUTS)
@pytest.mark.parametrize("zeros", [0, 300])
def test_torn_put_is_not_served(tmp_path, put, zeros):
    record = PUTS[put]
    for cut in cuts(record):
        binlog = read(
            tmp_path, log(ONE.full(), record[:cut], zeros=zeros + len(record) - cut if zeros else 0)
        )
        assert ids(binlog) == [1], f"cut at {cut}"
        assert kinds(binlog) == ["torn"], f"cut at {cut}"
        assert binlog.maybe_deleted == []


def test_torn_id_is_not_that_of_another_job(tmp_path):
    # Of id 0x0201 only the low byte was written: the job 1 that is known has nothing to do with it.
    record = Rec(0x0201, b"tube").full()
    binlog = read(tmp_path, log(ONE.full(), record[: 4 + 4 + 1], zeros=300))
    assert ids(binlog) == [1]
    assert kinds(binlog) == ["torn"]


def test_id_of_a_job_with_a_torn_body_is_not_reused(tmp_path):
    assert read(tmp_path, log(ONE.full(), Rec(7).full()[:-2], zeros=300)).next_id == 8
    assert read(tmp_path, log(ONE.full(), Rec(7).full()[:-3])).next_id == 8


def test_next_file_goes_on_after_a_torn_one(tmp_path):
    binlog = read(
        tmp_path,
        log(ONE.full(), JOB.full()[:50], zeros=300),
        log(ONE.buried().short(), Rec(3).full()),
    )
    assert [(job.id, job.state_name) for job in binlog.jobs] == [(3, "ready"), (1, "buried")]
    assert kinds(binlog) == ["torn"]


# The end of a file


@pytest.mark.parametrize("zeros", range(100))
def test_zeros_at_the_end_are_harmless(tmp_path, zeros):
    binlog = read(tmp_path, log(ONE.full(), zeros=zeros))
    assert binlog.jobs == [
        CJob(1, b"tube", 1, 10, 0, 60 * SECOND, BORN + 1000, 0, 0, 0, 0, 0, 0, b"first")
    ]
    if 4 <= zeros <= 83:
        assert kinds(binlog) == ["harmless"]
        assert messages(binlog) == [
            f"binlog.1:103: unexpected EOF reading 80 bytes (got {zeros - 4}): job struct"
        ]
    else:
        assert binlog.damages == []


def born(data: bytes, tmp_path) -> CBinlog:  # type: ignore[no-untyped-def]
    return read(tmp_path, log(ONE.full()), data, log(Rec(2).full()))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "unexpected EOF reading 4 bytes (got 0): version"),
        (b"\0\0", "unexpected EOF reading 4 bytes (got 2): version"),
        (bytes(5000), "unknown version: 0"),
    ],
)
def test_uninitialised_file_is_torn(tmp_path, data, message):
    binlog = born(data, tmp_path)
    assert ids(binlog) == [1, 2]
    assert kinds(binlog) == ["torn"]
    assert messages(binlog) == [f"binlog.2:0: {message}"]


@pytest.mark.parametrize("data", [HEADER, HEADER + b"\0" * 3, HEADER + bytes(5000)])
def test_file_without_records_is_not_reported(tmp_path, data):
    assert born(data, tmp_path).damages == []
