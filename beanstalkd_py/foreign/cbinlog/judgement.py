"""Answers three questions from the fields of a record, because the C server's format has no
checksum. Is this a record? Is it about this job? Is it a delete, or an update that a crash cut off?
Pure.

**Plausible** means: the C server could have written it. Delays and TTRs are whole seconds. A TTR is
at least one second (1.4 wrote a microsecond for a TTR of 0). A body has at least its CRLF. Random
bytes are a plausible TTR in one of 2^32 cases. A record that is read at a wrong offset, a few bytes
off, is plausible in one of a million cases.

**The same job** means: creation time, TTR and body size are equal. They never change. That all
three are equal by chance is as unlikely as an equal checksum.

**A real delete** is a short record with state 0. Its other fields are those of the job in the
server's memory. So it is about the same job, and these rules hold:

- Counters never go down.
- Every kick is logged. So the number of kicks is the same as in the latest record of the job. The
  same holds for buries, except that each start of the C server adds one bury to a buried job.
- Priority and delay change only with a bury or a release. Without one, they are the same as in the
  latest record.
- A deadline is never reset to 0, and it is an instant of this century.

**A torn update** is the beginning of a record, followed by zeros. (The record may also be the copy
of a job that compaction moved.) The state is near the end of the record and reads as 0. So the C
server takes the torn update for a delete.

- If the cut is before byte 48 of the job, the creation time is missing.
- If the cut is later, the record breaks one of the rules above, with one exception.
- The exception: the update and a delete have the same bytes up to the cut, and the rest of the
  delete is zeros. A write is cut only where a disk sector or a memory page ends. So the exception
  is possible only if a multiple of 512 is at that place, which `may_be_cut` checks. Then the record
  is treated as a delete, because nearly all such records are deletes.
"""

from beanstalkd_py.foreign.cbinlog.format import (
    MAX_BODY_SIZE,
    MAX_SECONDS_NS,
    MIN_BODY_SIZE,
    NAME,
    SECOND_NS,
    Jobrec,
)
from beanstalkd_py.foreign.cbinlog.job import BURIED, DELAYED, READY

SECTOR = 512
TTR_0_OF_1_4_NS = 1000  # it made one microsecond of a TTR of 0; later versions make one second
YEAR_2100_NS = 4_102_444_800 * SECOND_NS
LAST_BYTE = 1 << 56  # instants of this century need all eight bytes
FIRST_IMPLAUSIBLE_ID = 1 << 63  # larger ids can only come from corruption


def plausible(job: Jobrec) -> bool:
    return (
        0 < job.ttr_ns <= MAX_SECONDS_NS
        and (job.ttr_ns % SECOND_NS == 0 or job.ttr_ns == TTR_0_OF_1_4_NS)
        and 0 <= job.delay_ns <= MAX_SECONDS_NS
        and job.delay_ns % SECOND_NS == 0
        and MIN_BODY_SIZE <= job.body_size <= MAX_BODY_SIZE
        and job.created_at_ns > 0
        and (job.deadline_at_ns >= 0 or job.state != DELAYED)  # else 1.4 wrote arbitrary bytes
        and job.state <= DELAYED
    )


def plausible_behind_damage(tube: bytes, job: Jobrec, padding: bytes) -> bool:
    """Like `plausible`, with more rules: for a record that a search finds after damage."""
    return (
        plausible(job)
        and 0 < job.id < FIRST_IMPLAUSIBLE_ID
        and job.created_at_ns < YEAR_2100_NS
        and not any(padding)
        and (not tube or (is_name(tube) and job.state >= READY))
    )


def is_name(tube: bytes) -> bool:
    return NAME.fullmatch(tube) is not None


def same_job(known: Jobrec, job: Jobrec) -> bool:
    return (
        known.created_at_ns == job.created_at_ns
        and known.ttr_ns == job.ttr_ns
        and known.body_size == job.body_size
    )


def counters_fell(known: Jobrec, job: Jobrec) -> bool:
    return (
        job.reserves < known.reserves
        or job.timeouts < known.timeouts
        or job.releases < known.releases
        or job.buries < known.buries
        or job.kicks < known.kicks
    )


def changes_nothing(known: Jobrec, job: Jobrec) -> bool:
    """Whether an update is not a bury, kick or release with a delay: only these are logged."""
    return (
        job.releases <= known.releases and job.buries <= known.buries and job.kicks <= known.kicks
    )


def is_no_delete(known: Jobrec, job: Jobrec) -> bool:
    """Whether a record of the same job, with state 0, breaks a rule that real deletes keep."""
    return (
        counters_fell(known, job)
        or job.kicks != known.kicks
        or (job.buries != known.buries and known.state != BURIED)
    )


def reads_as_torn(known: Jobrec, job: Jobrec) -> bool:
    """Like `is_no_delete`, with more rules, for the last record of a log. (In the middle of a log
    these rules do not hold. On a full disk the C server refuses a bury, but the job keeps the
    bury's priority, without a record.)
    """
    return (
        is_no_delete(known, job)
        or (
            (job.pri, job.delay_ns) != (known.pri, known.delay_ns)
            and job.releases == known.releases
        )
        or (job.deadline_at_ns == 0 and known.deadline_at_ns != 0)
        or (
            job.deadline_at_ns != known.deadline_at_ns
            and 0 < job.deadline_at_ns < LAST_BYTE <= job.created_at_ns
        )
    )


def may_be_cut(state_offset: int, data_end: int) -> bool:
    """Whether a sector ends between the last byte of the file that is not zero and the state.

    state_offset: offset of the state. data_end: end of the bytes that are not zero.
    """
    return data_end <= state_offset // SECTOR * SECTOR
