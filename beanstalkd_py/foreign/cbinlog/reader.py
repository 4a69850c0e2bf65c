"""A directory of the C server's binlog -> the jobs that survive in it, the next id, and what is
damaged. Changes nothing in the directory.

The files are read in the C server's order, one at a time, and each record does to the jobs known so
far what it does there. But what the C server does wrong at its start is not repeated: no job is
dropped for its size, nothing torn is a delete, no body without its CRLF is served, buries are as
logged, buried jobs stand in the order of burying, and an error does not end a file. Where damage
leaves a choice, the job is kept and the report says so: a job too many can be deleted, one too few
cannot be made up.

`next_id` is one more than the highest id in any record that can be believed, of deleted jobs too,
so it is never lower than the C server's.

Behind damage, a job may come back that was deleted in what could not be read: `maybe_deleted` names
all for which that is possible.
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
    """What a directory holds."""

    path: str
    files: list[str] = field(default_factory=list)  # that were read, in their order
    jobs: list[CJob] = field(
        default_factory=list
    )  # by id; behind them the buried ones, in the order of burying
    next_id: int = 1
    damages: list[Damage] = field(default_factory=list)
    maybe_deleted: list[int] = field(default_factory=list)

    @property
    def damaged(self) -> bool:
        """Whether anything is missing that had been written; a torn last record is not."""
        return any(damage.kind is Kind.DAMAGE for damage in self.damages)


def read_directory(path: str, progress: Progress | None = None) -> CBinlog:
    """Reads it all. `progress(bytes_done, bytes_total)` is called for each megabyte or so.

    Raises OSError if the directory cannot be listed; whatever else is wrong is in the result.
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
    """Tells how far reading is, but not after every record."""

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
