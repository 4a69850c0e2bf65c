"""Checks of the directory while the server is idle: its size (the disk stays in proportion), no
unexpected files, and valid contents.

A Fault names the expected and the actual value.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from testkit.daemon import Daemon
from testkit.waiting import wait_until

from beanstalkd_py.binlog.usage import PAUSE_OVERHEAD, SHORT_OVERHEAD, WITH_OVERHEAD

from .directory import sizes
from .fault import Fault
from .kill_points import FOLDER, SEGMENT, SPARE
from .knowledge import Job, Knowledge

_TORN_FILE = r"torn\.\d+\.\d+(\.\d+)?"
_KNOWN = re.compile("|".join(("lock", SEGMENT, SPARE, _TORN_FILE, FOLDER)))

# Messages that a start may write.
_TORN_LINE = re.compile(
    r".*/(\d+)\.wal: torn at offset (\d+): expected LSN \d+, found .*; "
    r"\d+ bytes( and \d+ later segments)? were never promised"
)
_LINES = (
    _TORN_LINE,
    re.compile(
        r".*/\d+\.wal: was written with -F and not closed: "
        r"if the power failed, the changes after LSN \d+ are gone"
    ),
    re.compile(r"reading .*: \d+ % of \d+ MB"),  # on a slow machine
    re.compile(r".*: an unfinished import is discarded"),
    re.compile(r".*: puts are refused: No space left on device; free some space, or delete jobs"),
    re.compile(r".*: puts are accepted again; \d+ (was|were) refused"),
    re.compile(r".*: \d+ puts? (was|were) refused until the stop"),
    re.compile(r".*: segments of \d+ bytes instead of \d+ \(-s\): the file system is small"),
    re.compile(
        r"the take-over of the C server's binlog continues: its jobs are in the log already"
    ),
    re.compile(r"the C server's binlog files are kept in .*"),
    re.compile(r"\d+ jobs? taken over from \d+ binlog files? of the C server"),
    # From the C server, if its last file ends in fewer zeros than a record has bytes. It writes the
    # same for a truncated job, which the audit would detect.
    re.compile(r".*/binlog\.\d+:\d+: unexpected EOF reading 80 bytes \(got \d+\): job struct"),
    # The last record before these zeros is a delete. The audit checks that the job is deleted.
    re.compile(
        r".*/binlog\.\d+:\d+: job \d+ is taken for deleted: "
        r"an update of it, cut off here, would look the same"
    ),
)


class StartMessages:
    """The messages on stderr of all starts on one directory."""

    def __init__(self) -> None:
        self.torn: list[str] = []  # names of the files with copies of torn tails
        self._later = False

    def add(self, errors: str) -> None:
        """Raises Fault for a line that a kill does not explain."""
        for line in errors.splitlines():
            _, _, message = line.partition(": ")
            if not any(known.fullmatch(message) for known in _LINES):
                raise Fault(f"unexpected message of the server: {line}")
            if torn := _TORN_LINE.fullmatch(message):
                self.torn.append(f"torn.{int(torn[1])}.{torn[2]}")
                self._later = self._later or bool(torn[3])

    def explains(self, name: str) -> bool:
        """Whether a message mentions this torn.* file. A file may be copied twice."""
        return any(name == torn or name.startswith(f"{torn}.") for torn in self.torn) or (
            self._later and name.endswith(".0")
        )


def check_idle(
    daemon: Daemon, knowledge: Knowledge, segment_bytes: int, messages: StartMessages
) -> None:
    """Checks an idle server after an audit."""
    largest = max((full_bytes(job) for job in knowledge.jobs.values()), default=0)

    def most() -> int:
        """With -s lowered, the segments of earlier runs may still be the largest."""
        found = sizes(daemon.directory).items()
        named = [nbytes for name, nbytes in found if re.fullmatch(SEGMENT, name)]
        segment = max([segment_bytes, *named])
        # The reserve is larger where jobs are large compared with segments.
        reserve = 4 * largest if 16 * largest > segment else 0
        return 2 * live_bytes(knowledge) + 2 * segment + reserve

    wait_until(
        lambda: _log_bytes(daemon.directory) <= most(),
        lambda: f"{_log_bytes(daemon.directory)} bytes, not {most()}: {_shown(daemon)}",
    )
    wait_until(
        lambda: not _empty(daemon.directory),
        lambda: f"empty files: {_empty(daemon.directory)}",
    )
    found = sizes(daemon.directory)
    strays = [name for name in found if not _KNOWN.fullmatch(name)]
    strays += [
        name for name in found if re.fullmatch(_TORN_FILE, name) and not messages.explains(name)
    ]
    if strays:
        raise Fault(f"unexpected files {strays} among {_shown(daemon)}")


def live_bytes(knowledge: Knowledge) -> int:
    """The size of the latest record of each job and pause."""
    return sum(map(full_bytes, knowledge.jobs.values())) + sum(
        PAUSE_OVERHEAD + len(private.tube)
        for private in knowledge.private_tubes.values()
        if private.pauses[-1].seconds
    )


def full_bytes(job: Job) -> int:
    with_attributes = job.key or job.start.attempts
    overhead = WITH_OVERHEAD + len(job.key) if with_attributes else SHORT_OVERHEAD
    return overhead + len(job.tube) + len(job.body)


def verify(daemon: Daemon) -> None:
    """The installed `beanstalkd-binlog verify` finds no problem."""
    tool = Path(daemon.program[0]).with_name("beanstalkd-binlog")
    done = subprocess.run([tool, "verify", daemon.directory], capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise Fault(f"verify ends with {done.returncode}, not with 0: {done.stdout}{done.stderr}")


def _log_bytes(directory: str) -> int:
    """Without copies of torn tails and without files of the C server."""
    return sum(
        nbytes
        for name, nbytes in sizes(directory).items()
        if re.fullmatch(f"{SEGMENT}|{SPARE}", name)
    )


def _empty(directory: str) -> list[str]:
    return [name for name, nbytes in sizes(directory).items() if not nbytes and name != "lock"]


def _shown(daemon: Daemon) -> str:
    return ", ".join(f"{name} {nbytes}" for name, nbytes in sorted(sizes(daemon.directory).items()))
