"""Directories that beanstalkd wrote give the jobs that beanstalkd shows, except for its faults (see
the README of the samples).
"""

from __future__ import annotations

import hashlib

import pytest

from beanstalkd_py.foreign.cbinlog import BURIED, CBinlog, Kind, read_directory

from .samples import FOLDER, NAMES, as_expected, expected, need_samples

# Where we and the C server differ on purpose.
EXPECTED_FILE = {"07_max_size_bug": "expected_larger_z.json"}
BROKEN_TRAILER = {"10_torn_body_zero_filled": {3}}
BURIED_ORDER = {
    "01_basic_states": [13, 11, 12],
    "05_counters": [2, 3, 4],
    "02_segments_migration": [5],
    "03_sigkill": [9],
    "11_v5_from_1.4.6": [3],
    "14_x86_32bit": [8, 6],
}
REPORTS = {
    "02_segments_migration": [
        (Kind.HARMLESS, "binlog.9:4069: unexpected EOF reading 80 bytes (got 27): job struct")
    ],
    "03_sigkill": [(Kind.TORN, "binlog.2:1140: a record that ends behind its tube name")],
    "10_torn_body_zero_filled": [
        (Kind.TORN, "binlog.1:341: the body of job 3 does not end in CRLF")
    ],
    "13_short_zero_tail": [
        (Kind.HARMLESS, "binlog.1:4079: unexpected EOF reading 80 bytes (got 17): job struct")
    ],
}


@pytest.fixture(params=NAMES)
def name(request):
    need_samples()
    return request.param


def sample(name: str) -> CBinlog:
    return read_directory(str(FOLDER / name / "data"))


def test_each_job_is_as_expected(name):
    found = {
        job.id: {field: getattr(job, field) for field in as_expected_fields}
        for job in sample(name).jobs
    }
    wanted = [
        as_expected(job) for job in expected(name, EXPECTED_FILE.get(name, "expected.json"))["jobs"]
    ]
    assert found == {
        job["id"]: job for job in wanted if job["id"] not in BROKEN_TRAILER.get(name, ())
    }


as_expected_fields = (
    "id", "tube", "state_name", "pri", "delay_ns", "ttr_ns", "created_at_ns", "deadline_at_ns",
    "reserves", "timeouts", "releases", "buries", "kicks", "body",
)  # fmt: skip


def test_next_id_is_not_lower(name):
    assert (
        sample(name).next_id == expected(name, EXPECTED_FILE.get(name, "expected.json"))["next_id"]
    )


def test_buried_jobs_come_last_in_the_order_of_burying(name):
    jobs = sample(name).jobs
    buried = [job.id for job in jobs if job.state == BURIED]
    assert buried == BURIED_ORDER.get(name, [])
    others = [job.id for job in jobs if job.state != BURIED]
    assert [job.id for job in jobs] == sorted(others) + buried


def test_reports_have_the_c_servers_words(name):
    binlog = sample(name)
    assert [
        (damage.kind, str(damage).rpartition("/")[2]) for damage in binlog.damages
    ] == REPORTS.get(name, [])
    assert not binlog.damaged
    assert binlog.maybe_deleted == []
    for line in expected(name, EXPECTED_FILE.get(name, "expected.json"))["stderr_of_real_server"]:
        if line.startswith("DIR/"):
            assert line.removeprefix("DIR/") in [message for _, message in REPORTS[name]]


def test_reading_changes_nothing_in_the_directory(name):
    folder = FOLDER / name / "data"

    def look() -> list[object]:
        return [
            (path.name, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest())
            for path in sorted(folder.iterdir())
        ]

    before = look()
    sample(name)
    assert look() == before
