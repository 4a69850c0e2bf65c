"""Is this a record? Is it about this job? Is it a delete, or an update that a crash cut off? Pure,
and without a checksum to lean on.

**Plausible** means: the C server could have written it. Delays and TTRs come as whole seconds, a
TTR is at least one (or what 1.4 made of none), a body at least its CRLF. Random bytes pass for a
TTR once in 2^32 times, a record that is read a few bytes off its place once in a million.

**The same job** means: creation time, TTR and body size agree. None of them ever changes, and
together they are as good as a checksum.

**A real delete** is a short record with state 0 and all else as the job stood in the server's
memory. Thus it is about the same job, and the rest follows from what the log already says about it:

- counters never go down;
- every kick is logged, so kicks are as logged; so are buries, but that each start of the C server
  adds one to those of a buried job;
- priority and delay change with a bury or a release only: if there were none, they are as logged;
- a deadline is never taken back, and it is an instant of our days.

**A torn update** (or the torn copy of a job that compaction moved) is a beginning of a record, and
zeros: the state, near the end, reads as 0, and C servers take it for a delete. Cut before byte 48
of the job it lacks the creation time; cut behind that, it breaks one of the rules above, but for
one case: the cut fell between what the update had in common with a delete and the first byte that
it had not. Writes are cut where disk sectors or memory pages end, so this needs a multiple of 512
in just that place: `may_be_cut` tells. What cannot be told apart is taken for a delete, which is
what nearly all of them are.
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
LAST_BYTE = 1 << 56  # instants of our days need all eight bytes
FIRST_SILLY_ID = 1 << 63  # no server counts so far


def plausible(job: Jobrec) -> bool:
    return (
        0 < job.ttr_ns <= MAX_SECONDS_NS
        and (job.ttr_ns % SECOND_NS == 0 or job.ttr_ns == TTR_0_OF_1_4_NS)
        and 0 <= job.delay_ns <= MAX_SECONDS_NS
        and job.delay_ns % SECOND_NS == 0
        and MIN_BODY_SIZE <= job.body_size <= MAX_BODY_SIZE
        and job.created_at_ns > 0
        and (job.deadline_at_ns >= 0 or job.state != DELAYED)  # 1.4 left in it what was in memory
        and job.state <= DELAYED
    )


def plausible_behind_damage(tube: bytes, job: Jobrec, padding: bytes) -> bool:
    """Stricter, for what nothing leads to."""
    return (
        plausible(job)
        and 0 < job.id < FIRST_SILLY_ID
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
    """Whether an update is none of those that are logged: bury, kick, release with a delay."""
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
    """The same if nothing is behind it. (In the middle of a log, a full disk explains a new
    priority: a bury that was refused has set it.)
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


def may_be_cut(state_at: int, data_end: int) -> bool:
    """Whether a sector ends between the last byte of the file that is not zero (`data_end` is
    behind it) and the 0 that stands for the state.
    """
    return data_end <= state_at // SECTOR * SECTOR
