"""Opens the log of a server that starts: the lock, the take-over of the C server's files, and the
replay. Each reason why it cannot be opened is an exception, whose text is a line for the operator.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import ENOMEM

import beanstalkd_wal as wal

from beanstalkd_py.binlog import opening
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.refusals import what_helps
from beanstalkd_py.config.options import SMALLEST_SEGMENT_BYTES, Options
from beanstalkd_py.foreign import old_files
from beanstalkd_py.host import disk
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import Report
from beanstalkd_py.host.progress import Progress
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.diskwatch import DiskWatch, WatchedFileSystem


class NoDirectory(Exception):
    """DIR of -b does not exist, is no directory, or is not writable."""


class NotReadable(Exception):
    """A file of the log exists but cannot be read."""


class NoSpace(Exception):
    """The disk is too full to start."""


class NoResources(Exception):
    """The system refuses what the server needs to run, such as a descriptor."""


def lock(directory: str) -> wal.Lock:
    try:
        return wal.lock(directory)
    except OSError as error:
        if error.errno in wal.DISK_FULL:
            raise _no_space(error) from error
        in_directory = os.path.isdir(directory) and error.filename != os.path.realpath(directory)
        what = f"{directory}/lock" if in_directory else f"wal dir {directory}"
        raise NoDirectory(f"failed to lock {what}: {error.strerror}") from error


def load_take_over(directory: str | None) -> None:
    """Loads the modules of the take-over, if there is something to take over."""
    with suppress(OSError):  # `lock` reports it
        if directory is not None and old_files.present(directory):
            import beanstalkd_py.foreign.takeover  # noqa: F401


def open_log(
    chosen: Options,
    lock: wal.Lock,
    queue: Queue,
    notify: Callable[[], None],
    report: Report,
    progress: Progress,
    watch: DiskWatch,
) -> Binlog:
    """Replays DIR into the queue and opens it for writing. notify: called when the log has made
    progress, by any thread. Raises NoSpace, NoResources, NotReadable, and what says that the log is
    damaged, newer, or cannot be written.
    """
    assert chosen.wal_dir is not None
    with _explained(chosen.wal_dir):
        if chosen.never_sync:
            durability = wal.Durability.NEVER
        else:
            durability = wal.Durability.WINDOW if chosen.sync_ms else wal.Durability.SYNC
        segment_bytes = _segment_bytes(chosen.wal_dir, chosen.log_segment_bytes, report)
        if old_files.present(chosen.wal_dir):
            from beanstalkd_py.foreign import takeover

            takeover.take_over(
                chosen.wal_dir,
                segment_bytes=segment_bytes,
                wall_now=time.time_ns(),
                date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
                accept_damaged=chosen.accept_damaged_import,
                report=report,
                progress=progress,
            )
        watch.start()
        opened = opening.open_binlog(
            chosen.wal_dir,
            queue,
            segment_bytes=segment_bytes,
            durability=durability,
            now=boot_ns(),
            wall_now=time.time_ns(),
            notify=notify,
            report=report,
            progress=progress,
            lock=lock,
            fs=WatchedFileSystem(watch),
        )
        progress.close()
        return opened


@contextmanager
def _explained(directory: str) -> Iterator[None]:
    """Turns errors of the log and of the system into exceptions of this module."""
    try:
        yield
    except wal.LogFull as error:
        raise NoSpace(f"{directory}: {error}") from error
    except wal.LogFailed as error:
        if error.errno in wal.DISK_FULL:
            raise NoSpace(f"{error}; {what_helps(error.errno)}") from error
        raise
    except OSError as error:
        if error.errno in wal.DISK_FULL:
            raise _no_space(error) from error
        line = f"{error.filename or directory}: {error.strerror or error}"
        if error.errno == ENOMEM:
            raise NoResources(f"{line}; {what_helps(ENOMEM)}") from error
        raise NotReadable(line) from error


def _no_space(error: OSError) -> NoSpace:
    return NoSpace(f"{error.filename}: {error.strerror}; {what_helps(error.errno or 0)}")


def _segment_bytes(directory: str, asked: int, report: Report) -> int:
    """The size of segments: `asked`, or less where such segments do not fit. The headroom that puts
    must leave is more than a segment, so a file system of only two segments would refuse every put.
    """
    limits = {
        disk.file_system_bytes(directory) // 4: "the file system is small",
        disk.file_size_limit() or 0: "the limit on the size of files (ulimit -f) is low",
    }
    limit = min(filter(None, limits), default=asked)
    fits = max(SMALLEST_SEGMENT_BYTES, limit // 4096 * 4096)
    if fits >= asked:
        return asked
    report(f"{directory}: segments of {fits} bytes instead of {asked} (-s): {limits[limit]}")
    return fits
