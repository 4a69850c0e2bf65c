"""YAML out of snapshots: keys, order, quotes and whole seconds as in the C server."""

from __future__ import annotations

import pytest

from beanstalkd_py.protocol import yaml
from beanstalkd_py.protocol.commands import COUNTERS, SECOND
from beanstalkd_py.queue.snapshot import (
    JobSnapshot,
    LogSnapshot,
    ProcessSnapshot,
    QueueSnapshot,
    TubeSnapshot,
)

JOB = JobSnapshot(
    id=7, tube=b"a", state="delayed", pri=3, age_ns=2 * SECOND - 1, delay_ns=9 * SECOND,
    ttr_ns=60 * SECOND, left_ns=5 * SECOND, segment=4, reserves=1, timeouts=2, releases=3,
    buries=4, kicks=5,
)  # fmt: skip
TUBE = TubeSnapshot(
    name=b"a", urgent_jobs=1, ready_jobs=2, reserved_jobs=3, delayed_jobs=4, buried_jobs=5,
    total_jobs=6, using=7, watching=8, waiting=9, deletes=10, pauses=11, pause_ns=12 * SECOND,
    pause_left_ns=SECOND + 1,
)  # fmt: skip
QUEUE = QueueSnapshot(
    urgent_jobs=1, ready_jobs=2, reserved_jobs=3, delayed_jobs=4, buried_jobs=5, total_jobs=6,
    timeouts=7, tubes=8, connections=9, producers=10, workers=11, waiting=12,
    total_connections=13, draining=True,
)  # fmt: skip


def keys(reply: bytes) -> dict[str, str]:
    head, _, rest = reply.partition(b"\r\n")
    assert head == b"OK %d" % (len(rest) - 2)
    lines = rest.removesuffix(b"\r\n").decode(errors="surrogateescape").split("\n")
    assert lines[0] == "---" and lines[-1] == ""
    return dict(line.split(": ") for line in lines[1:-1])


def test_job_is_rendered_as_in_c() -> None:
    assert yaml.job(JOB) == (
        b'OK 142\r\n---\nid: 7\ntube: "a"\nstate: delayed\npri: 3\nage: 1\ndelay: 9\nttr: 60\n'
        b"time-left: 4\nfile: 4\nreserves: 1\ntimeouts: 2\nreleases: 3\nburies: 4\nkicks: 5\n\r\n"
    )


def test_tube_is_rendered_as_in_c() -> None:
    shown = keys(yaml.tube(TUBE))
    assert list(shown.values()) == ['"a"', *map(str, range(1, 13)), "1"]
    assert list(shown)[-4:] == ["cmd-delete", "cmd-pause-tube", "pause", "pause-time-left"]


@pytest.mark.parametrize(
    ("left_ns", "seconds"),
    [(0, "0"), (1, "0"), (SECOND, "0"), (SECOND + 1, "1"), (60 * SECOND, "59")],
)
def test_time_left_of_a_full_minute_shows_59_as_in_c(left_ns: int, seconds: str) -> None:
    assert keys(yaml.job(JOB._replace(left_ns=left_ns)))["time-left"] == seconds
    assert keys(yaml.tube(TUBE._replace(pause_left_ns=left_ns)))["pause-time-left"] == seconds


def test_server_has_51_keys_in_order() -> None:
    counts = [(key, 100 + place) for place, (key, _) in enumerate(COUNTERS)]
    process = ProcessSnapshot(
        pid=99, version="1.2", id="ab", hostname="h", os="o", platform="p", started_at=SECOND,
        user_cpu_s=1.5, system_cpu_s=0.25,
    )  # fmt: skip
    reply = yaml.server(QUEUE, process, LogSnapshot(1, 2, 3, 4), counts, 65535, 10, 5 * SECOND)
    shown = keys(reply)
    assert len(shown) == 51
    more = yaml.server(
        QUEUE, process, LogSnapshot(1, 2, 3, 4), counts, 65535, 10, 5 * SECOND, [("new", 1)]
    )
    assert list(keys(more).items()) == [*shown.items(), ("new", "1")]
    assert list(shown.items())[4:7] == [
        ("current-jobs-buried", "5"),
        ("cmd-put", "100"),
        ("cmd-peek", "101"),
    ]
    assert (shown["rusage-utime"], shown["rusage-stime"]) == ("1.500000", "0.250000")
    assert (shown["uptime"], shown["draining"], shown["hostname"]) == ("4", "true", '"h"')
    assert [shown[f"binlog-{key}"] for key in ("oldest-index", "current-index")] == ["1", "2"]
    assert [shown[f"binlog-records-{key}"] for key in ("migrated", "written")] == ["3", "4"]


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    assert b'tube: "\xff"\n' in yaml.job(JOB._replace(tube=b"\xff"))


def test_tubes_are_listed_unquoted() -> None:
    assert yaml.names([b"default", b"a"]) == b"OK 18\r\n---\n- default\n- a\n\r\n"
