"""What must be true of a log when nobody asks for anything: the disk in proportion (law 9), no file
that has no business there, every byte valid.

May know: the directory, the binlog CLI, what clients know of the jobs. Promises: a Fault names what
was expected and what is there.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from testkit.daemon import Daemon
from testkit.waiting import wait_until

from beanstalkd_py.binlog.usage import FULL_OVERHEAD, PAUSE_OVERHEAD

from .directory import sizes
from .moments import FOLDER, SEGMENT, SPARE
from .world import Fault, Job, World

_TORN_FILE = r"torn\.\d+\.\d+(\.\d+)?"
_KNOWN = re.compile("|".join(("lock", SEGMENT, SPARE, _TORN_FILE, FOLDER)))

# What a start may have to say.
_TORN_LINE = re.compile(
    r".*/(\d+)\.wal: torn at offset (\d+): expected LSN \d+, found .*; \d+ bytes( and \d+ later segments)? were never promised"
)
_LINES = (
    _TORN_LINE,
    re.compile(r"an import was not finished, and is forgotten"),
    re.compile(r"the take-over of beanstalkd's binlog goes on: its jobs are in the log already"),
    re.compile(r"beanstalkd's binlog files are kept in .*"),
    re.compile(r"\d+ jobs taken over from \d+ binlog files of beanstalkd"),
    # The C server's words where the zeros at the end of its last file are less than a record; also
    # where a job is cut, but the audit would miss that.
    re.compile(r".*/binlog\.\d+:\d+: unexpected EOF reading 80 bytes \(got \d+\): job struct"),
    # The last record before these is a delete. That the job is not there any more, the audit sees.
    re.compile(
        r".*/binlog\.\d+:\d+: job \d+ is taken for deleted: an update of it, cut off here, would look the same"
    ),
)


class Said:
    """What the server wrote to stderr, over all starts on one directory."""

    def __init__(self) -> None:
        self.torn: list[str] = []  # names of the files that it must have put aside
        self._later = False

    def hear(self, errors: str) -> None:
        """Raises Fault for a line that no kill explains."""
        for line in errors.splitlines():
            _, _, said = line.partition(": ")
            if not any(known.fullmatch(said) for known in _LINES):
                raise Fault(f"the server says what it should have no reason to: {line}")
            if torn := _TORN_LINE.fullmatch(said):
                self.torn.append(f"torn.{int(torn[1])}.{torn[2]}")
                self._later = self._later or bool(torn[3])

    def explains(self, name: str) -> bool:
        """Whether a torn.* of this name has been spoken of. (One may be copied twice.)"""
        return any(name == torn or name.startswith(f"{torn}.") for torn in self.torn) or (
            self._later and name.endswith(".0")
        )


def check_at_rest(daemon: Daemon, world: World, segment_bytes: int, said: Said) -> None:
    """After an audit, while the server has nothing to do."""
    largest = max((full_bytes(job) for job in world.jobs.values()), default=0)
    # What is set aside for a full disk is more where jobs are large against segments.
    most = (
        2 * live_bytes(world)
        + 2 * segment_bytes
        + (4 * largest if 16 * largest > segment_bytes else 0)
    )
    wait_until(
        lambda: _log_bytes(daemon.directory) <= most,
        lambda: f"{_log_bytes(daemon.directory)} bytes, not {most}: {_shown(daemon)}",
    )
    wait_until(
        lambda: not _empty(daemon.directory),
        lambda: f"empty files: {_empty(daemon.directory)}",
    )
    found = sizes(daemon.directory)
    strays = [name for name in found if not _KNOWN.fullmatch(name)]
    strays += [name for name in found if re.fullmatch(_TORN_FILE, name) and not said.explains(name)]
    if strays:
        raise Fault(f"files that nobody has put there: {strays}, among {_shown(daemon)}")


def live_bytes(world: World) -> int:
    """What the latest record of each job and pause takes."""
    return sum(map(full_bytes, world.jobs.values())) + sum(
        PAUSE_OVERHEAD + len(den.tube) for den in world.dens.values() if den.pauses[-1].seconds
    )


def full_bytes(job: Job) -> int:
    return FULL_OVERHEAD + len(job.tube) + len(job.body)


def verify(daemon: Daemon) -> None:
    """The binlog CLI that is installed beside the server finds nothing wrong."""
    tool = Path(daemon.program[0]).with_name("beanstalkd-binlog")
    done = subprocess.run([tool, "verify", daemon.directory], capture_output=True, text=True)
    if done.returncode or done.stderr:
        raise Fault(f"verify ends with {done.returncode}, not with 0: {done.stdout}{done.stderr}")


def _log_bytes(directory: str) -> int:
    """Without what was put aside for somebody to look at, and the C server's files."""
    return sum(
        nbytes
        for name, nbytes in sizes(directory).items()
        if re.fullmatch(f"{SEGMENT}|{SPARE}", name)
    )


def _empty(directory: str) -> list[str]:
    return [name for name, nbytes in sizes(directory).items() if not nbytes and name != "lock"]


def _shown(daemon: Daemon) -> str:
    return ", ".join(f"{name} {nbytes}" for name, nbytes in sorted(sizes(daemon.directory).items()))
