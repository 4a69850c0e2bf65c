"""The layout, byte for byte, against a second description of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beanstalkd_py.foreign.cbinlog.format import LAYOUTS, V5, V7, Jobrec, encode_full, encode_short

from .logs import BORN, BURIED, SECOND, Rec

REC = Rec(
    id=0x0102030405060708,
    pri=9,
    delay=3 * SECOND,
    ttr=5 * SECOND,
    deadline_at=BORN + 7000,
    state=BURIED,
).but(reserves=11, timeouts=12, releases=13, buries=14, kicks=15, created_at=BORN)
JOB = Jobrec(
    0x0102030405060708, 9, 3 * SECOND, 5 * SECOND, 7, BORN, BORN + 7000, 11, 12, 13, 14, 15, 3
)

U32 = st.integers(0, 2**32 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
JOBS = st.builds(
    Jobrec,
    st.integers(0, 2**64 - 1),
    U32,
    I64,
    I64,
    st.integers(-(2**31), 2**31 - 1),
    I64,
    I64,
    U32,
    U32,
    U32,
    U32,
    U32,
    st.integers(0, 255),
)


def test_short_record_has_the_c_servers_bytes():
    assert encode_short(JOB) == REC.short()
    assert len(encode_short(JOB)) == V7.short_size == 84


def test_full_record_has_the_c_servers_bytes():
    assert encode_full(b"default", JOB, b"hello") == REC.full()


def test_version_7_is_read():
    assert V7.decode(REC.short(), 4) == JOB


def test_version_5_is_read_with_its_microseconds():
    assert V5.decode(b"x" + REC.struct_v5(), 1) == JOB
    assert V5.short_size == 85
    assert sorted(LAYOUTS) == [5, 7]


@given(JOBS)
def test_encoded_records_are_decoded(job):
    assert V7.decode(encode_short(job), 4) == job


@pytest.mark.parametrize("offset", [12, 13, 14, 15, 36, 37, 38, 39, 77, 78, 79])
def test_padding_is_all_bytes_between_fields(offset):
    data = bytearray(REC.struct())
    assert not any(V7.padding(bytes(data), 0))
    data[offset] = 1
    assert any(V7.padding(bytes(data), 0))
    assert V7.decode(bytes(data), 0) == JOB


def test_version_5_padding_may_hold_any_bytes():
    data = bytearray(REC.struct_v5())
    data[12] = data[36] = 1
    assert not any(V5.padding(bytes(data), 0))
