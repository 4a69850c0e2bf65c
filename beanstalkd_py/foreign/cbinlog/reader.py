"""Reads a directory of the C server's binlog: jobs, next id and damage. Changes nothing there.

The files are read in the C server's order. Each record has the same effect as in the C server,
except for the C server's faults:

- no job is dropped because of its size;
- a torn record is not taken for a delete;
- a body without its CRLF is not used;
- the number of buries is the logged one;
- buried jobs are in the order of burying;
- an error does not end the reading of a file.

If it is doubtful whether a job was deleted, the job is kept and reported. An operator can delete a
job that should not exist, but a missing one cannot be restored.

`next_id` is one more than the highest id in any plausible record, deleted jobs included. So it is
never lower than the C server's.

A job may have been deleted by a record that could not be read. `maybe_deleted` has the ids of all
jobs for which that is possible.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from beanstalkd_py.foreign.cbinlog.damage import Damage, Kind
from beanstalkd_py.foreign.cbinlog.files import Found, binlog_path, find_files, read_file
from beanstalkd_py.foreign.cbinlog.job import CJob
from beanstalkd_py.foreign.cbinlog.replay import Replay
from beanstalkd_py.foreign.cbinlog.segment import Segment

Progress = Callable[[int, int], None]
_STEP = 1 << 20


@dataclass
class CBinlog:
    """The content of a directory."""

    path: str
    files: list[str] = field(default_factory=list)  # the files that were read, in order
    # all jobs except buried ones, by id; then the buried jobs in the order of burying
    jobs: list[CJob] = field(default_factory=list)
    next_id: int = 1
    damages: list[Damage] = field(default_factory=list)
    maybe_deleted: list[int] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether anything that had been written is missing or changed, except torn records."""
        return any(damage.kind is Kind.DAMAGE for damage in self.damages)


def read_directory(path: str, progress: Progress | None = None) -> CBinlog:
    """Reads all files. progress: called about once per MiB with the bytes done and all bytes.

    Raises OSError if the directory cannot be listed. All other errors are in the result.
    """
    binlog = CBinlog(path)
    found = find_files(binlog.path)
    meter = _Meter(sum(file.size for file in found), progress)
    replay = Replay(binlog.damages.append)
    expected = found[0].number if found else 0
    for file in found:
        if file.number > expected:
            binlog.damages.append(_gap(binlog.path, expected, file.number - 1))
            replay.records_are_missing()
        _read_file(file, binlog, replay, meter)
        expected = file.number + 1
    binlog.maybe_deleted = replay.finish()
    binlog.next_id = replay.next_id
    binlog.jobs = replay.take_jobs()
    return binlog


class _Meter:
    """Reports the progress, but not after every record."""

    def __init__(self, total: int, tell: Progress | None) -> None:
        self._total = total
        self._tell = tell
        self._base = 0
        self._next = _STEP if tell else total + 1

    def passed(self, offset: int) -> None:
        if self._base + offset >= self._next and self._tell:
            self._next = self._base + offset + _STEP
            self._tell(self._base + offset, self._total)

    def finished(self, size: int) -> None:
        self._base += size
        if self._tell:
            self._tell(self._base, self._total)


def _read_file(file: Found, binlog: CBinlog, replay: Replay, meter: _Meter) -> None:
    data, error = read_file(file.path)
    if error is not None:
        binlog.damages.append(Damage(file.path, len(data), f"read: {error.strerror}", Kind.DAMAGE))
    if error is None or data:
        binlog.files.append(file.path)
        replay.read(file.number, Segment(file.path, data, binlog.damages.append), meter.passed)
    if error is not None:
        replay.records_are_missing()
    meter.finished(file.size)


def _gap(directory: str, first: int, last: int) -> Damage:
    more = f", nor any up to binlog.{last}" if last > first else ""
    return Damage(
        binlog_path(directory, first), 0, f"open: No such file or directory{more}", Kind.DAMAGE
    )
