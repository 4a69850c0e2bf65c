"""A few directories that beanstalkd wrote, as bytes in this file: the format stays readable.

Compressed, their zeros at the end left out. Fields: id, tube, state, pri, delay and ttr in seconds,
creation, deadline, the five counters, body.
"""

from __future__ import annotations

import zlib
from base64 import b64decode

import pytest

from beanstalkd_py.foreign.cbinlog import BURIED, DELAYED, READY

from .logs import SECOND, kinds, read

GOLDEN = {
    "version 7, counters": (
        "eNpjZ2BgYAfilNS0xNKcEkYGCOBiQAOnZlmDKGYoN+ND7dEpm15JMOABILMqeLmQTGci0vQHC9+TYTozkaZPeCF2jHTTWYg0/cdCCWJNBzFhQcIDl5ww99ytJnNcQZKx7X"
        "lycm9uACOSUTAAcyK1zGREYsPM5CXSzISnQkxTgTQTmlmMSGqpZSYTFnfyEWnmhv/OYDOZkcxkgmKYGIzmJzJhKcg6TYG5Ez1MmdHiSoDI5LTjYxDYTEa0ZARWCwAwzYbr",
        [
            (1, b"default", READY, 10, 0, 1, 1795443753498833000, 0, 0, 0, 0, 0, 0, b"x"),
            (2, b"default", BURIED, 14, 4000000000, 1, 1795443753506284000, 0, 3, 0, 1, 2, 2, b"x"),
            (3, b"default", BURIED, 15, 0, 1, 1795443753508858000, 0, 2, 1, 0, 1, 0, b"x"),
            (4, b"default", BURIED, 16, 0, 1, 1795443753508971000, 0, 1, 0, 0, 1, 0, b"x"),
        ],
        5,
        [],
    ),
    "version 5, of 1.4.6": (
        "eNpjZWBgYGGAgJLU4hJGKBtGMzBITf5lysdw4JgumMcGFS3fmBf8KYGNoXlTx7M300QYsAEWkIG8XMjGM8Gk0JQ2tMiBaWYof+4OiPH4AGMFLxc7lJ2SmpZYmlMC086Jrr"
        "Z9MliKG8o1vEGE8UmlRZmpKQplphjWsODSA7WGB8q1fkOENSmpOaklUHsYcAQPJRYwwMK8xIgVTQTdWF4oV+cvEe4uSi1OLSpDczgsAjiIjIDPK5nCQTQjsskwswAkPEDW",
        [
            (
                1,
                b"test",
                DELAYED,
                1,
                4000000000,
                3,
                1795443758379383000,
                5795443758379651000,
                0,
                0,
                0,
                0,
                0,
                b"test",
            ),
            (2, b"test", READY, 4, 0, 2, 1795443758381213000, 0, 0, 0, 0, 0, 0, b"x"),
            (5, b"t2", READY, 2, 0, 60, 1795443758398764000, 0, 0, 0, 0, 0, 0, b"reserved v5"),
            (3, b"default", BURIED, 8, 0, 60, 1795443758389297000, 0, 1, 0, 0, 1, 0, b"buried v5"),
        ],
        6,
        [],
    ),
    "a torn body": (
        "eNpjZ2BgYAfilNS0xNKcEkYGHCDC/QcvkFKAcjMOKOyeuumVBAMeADIrKT+lUtcAB1Dm5UKymolIqx88XEmx1YaoVjMTaTVHzWqSrQYAYuEsZA==",
        [
            (
                1,
                b"default",
                READY,
                0,
                0,
                60,
                1795443757619921000,
                0,
                0,
                0,
                0,
                0,
                0,
                b"body-000000000000000000000000#",
            ),
            (
                2,
                b"default",
                READY,
                0,
                0,
                60,
                1795443757628908000,
                0,
                0,
                0,
                0,
                0,
                0,
                b"body-000000000000000000000001#",
            ),
        ],
        4,
        ["torn"],
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_files_stay_readable(tmp_path, name):
    packed, jobs, next_id, reports = GOLDEN[name]
    binlog = read(tmp_path, zlib.decompress(b64decode(packed)) + bytes(1000))
    found = [
        (
            *(
                job.id,
                job.tube,
                job.state,
                job.pri,
                job.delay_ns // SECOND,
                job.ttr_ns // SECOND,
                job.created_at_ns,
                job.deadline_at_ns,
            ),
            *(job.reserves, job.timeouts, job.releases, job.buries, job.kicks, job.body),
        )
        for job in binlog.jobs
    ]
    assert found == jobs
    assert (binlog.next_id, kinds(binlog)) == (next_id, reports)
