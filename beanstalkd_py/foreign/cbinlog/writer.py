"""Writes jobs into a new directory of the C server's binlog, version 7, for beanstalkd 1.5 to 1.13.

What those servers need:

- Each job has a full record. No record spans files. The file numbers have no gaps. Nothing follows
  the last record (with 4 to 83 zeros they warn). Files have the mode 0400.
- They add one to the buries of a buried job at each start. So one less is written, and the number
  that they show is right.
- They restore the order of buried jobs from the order of the records. So the caller must give
  buried jobs in the order of burying. Reserved jobs are written as ready.
- They compute the next id from the highest id of a full record. If our next id is higher, one more
  job is written, with the id next id - 1, and then its delete.
- If a body with its CRLF is larger than -z, they read neither this record nor the rest of the file.
  They must be started with a -z of at least `Written.needs_z`.

The files get their names when all of them are complete and synced. A failure leaves nothing behind
and raises ValueError for a job that cannot be written, FileExistsError for a directory that holds a
binlog, or OSError.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from beanstalkd_py.foreign.cbinlog.files import NewFiles
from beanstalkd_py.foreign.cbinlog.format import (
    CRLF,
    DEFAULT_SEGMENT_BYTES,
    HEADER,
    INVALID,
    SECOND_NS,
    VERSION,
    Jobrec,
    encode_full,
    encode_short,
)
from beanstalkd_py.foreign.cbinlog.job import BURIED, DELAYED, READY, RESERVED, CJob
from beanstalkd_py.foreign.cbinlog.judgement import is_name

MAX_Z = 1 << 30  # the C server's upper limit of -z
_MAX_U32 = 0xFFFFFFFF


@dataclass(frozen=True)
class Written:
    files: list[str]
    jobs: int
    bytes: int
    needs_z: int  # a smaller -z loses jobs
    names_synced: bool  # False: the file system cannot sync directories


def write_directory(
    path: str, jobs: Iterable[CJob], next_id: int, segment_bytes: int = DEFAULT_SEGMENT_BYTES
) -> Written:
    """Writes the jobs, and creates the directory if it does not exist. The jobs are read from the
    iterable one at a time. Each id may occur once and must be below next_id. segment_bytes: bytes
    of a file.

    Raises ValueError, FileExistsError and OSError, and leaves nothing behind then.
    """
    ids: set[int] = set()
    created_at_ns = 1
    largest_body = 0
    with NewFiles(path, HEADER.pack(VERSION), segment_bytes) as files:
        for job in jobs:
            if not 0 < job.id < next_id or job.id in ids:
                raise ValueError(
                    f"job {job.id}: its id occurs twice, or is not below the next id {next_id}"
                )
            files.append(encode_job(job))
            ids.add(job.id)
            created_at_ns = max(created_at_ns, job.created_at_ns)
            largest_body = max(largest_body, len(job.body) + len(CRLF))
        if next_id > max(ids, default=0) + 1:
            files.append(encode_last_id(next_id - 1, created_at_ns))
            largest_body = max(largest_body, len(CRLF))
    return Written(files.paths, len(ids), files.bytes_written, largest_body, files.names_synced)


def encode_job(job: CJob) -> bytes:
    """The full record of a job, as the C server would have written it. Raises ValueError."""
    size = len(job.body) + len(CRLF)
    if not is_name(job.tube):
        raise ValueError(f"job {job.id}: the C server accepts no tube of the name {job.tube!r}")
    if size > MAX_Z:
        raise ValueError(
            f"job {job.id}: the C server reads no body of {len(job.body)} bytes, whatever its -z"
        )
    if job.state not in (READY, RESERVED, BURIED, DELAYED):
        raise ValueError(f"job {job.id}: no state {job.state}")
    rec = Jobrec(
        id=job.id,
        pri=job.pri,
        delay_ns=job.delay_ns,
        ttr_ns=job.ttr_ns,
        body_size=size,
        created_at_ns=job.created_at_ns,
        deadline_at_ns=job.deadline_at_ns if job.state == DELAYED else 0,
        reserves=min(job.reserves, _MAX_U32),
        timeouts=min(job.timeouts, _MAX_U32),
        releases=min(job.releases, _MAX_U32),
        buries=min(max(job.buries - 1, 0) if job.state == BURIED else job.buries, _MAX_U32),
        kicks=min(job.kicks, _MAX_U32),
        state=READY if job.state == RESERVED else job.state,
    )
    try:
        return encode_full(job.tube, rec, job.body)
    except struct.error as error:
        raise ValueError(f"job {job.id}: a number is too large: {rec}") from error


def encode_last_id(id: int, created_at_ns: int) -> bytes:
    """The put and the delete of a job: only its id remains."""
    rec = Jobrec(id, 0, 0, SECOND_NS, len(CRLF), created_at_ns, 0, 0, 0, 0, 0, 0, READY)
    return encode_full(b"default", rec, b"") + encode_short(rec._replace(state=INVALID))
