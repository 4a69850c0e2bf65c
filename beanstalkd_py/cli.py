"""The start of the daemon. The command line and the order of steps are those of the C server.

Order: options, listening sockets, user, binlog (lock and replay), serve. A server that is ready
writes one line to stderr. An error writes at least one line to stderr and ends the process with a
status: 5 command line, 111 sockets, 32 to 34 user, 10 directory or lock, 1 no space to start, 65
damaged or newer log, 74 a file of the log cannot be read or written, 70 a bug (with a traceback). A
stop is 0, or 143 as process 1.
"""

import errno
import gc
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

import beanstalkd_wal as wal

from beanstalkd_py import C_VERSION, __version__, options
from beanstalkd_py.binlog import opening
from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.foreign import old_files
from beanstalkd_py.foreign.old_files import DamagedImport
from beanstalkd_py.host import privileges
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.notify import Notify
from beanstalkd_py.host.process import cpu_seconds, facts
from beanstalkd_py.host.progress import Progress
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.snapshot import ProcessSnapshot
from beanstalkd_py.server.listen import Listeners, ListenFailed, address_of, listen
from beanstalkd_py.server.server import Server

STDOUT, STDERR = 1, 2
NO_SPACE, LOCKED, BAD_LOG, BUG, LOG_FAILED = 1, 10, 65, 70, 74
PID_1_TERMINATED = 143
SPARE_DESCRIPTORS = 16  # that no connection may use
LOG_DESCRIPTORS = 64  # the same with a log, but at most a quarter of all descriptors


class NoDirectory(Exception):
    """DIR of -b does not exist, is no directory, or is not writable."""


class Stopped(BaseException):
    """SIGTERM or SIGINT before the loop runs. A BaseException, so that no `except Exception` treats
    it as an error.
    """


class NotReadable(Exception):
    """A file of the log exists but cannot be read."""


class NoSpace(Exception):
    """The disk is too full to start."""


def run() -> NoReturn:
    """The console script."""
    sys.exit(main(sys.argv))


def main(argv: list[str]) -> int:
    """Runs the daemon until it must stop. Returns the exit status. Messages begin with argv[0]."""
    prog = argv[0]
    _fill_standard_descriptors()

    def report(line: str) -> None:
        _write(STDERR, f"{prog}: {line}\n")

    try:
        chosen = options.parse(argv[1:], prog)
    except options.Exit as end:
        _write(STDOUT, end.stdout)
        _write(STDERR, end.stderr)
        return end.status
    for warning in chosen.warnings:
        report(warning)
    try:
        return _serve(chosen, report)
    except ListenFailed as error:
        for line in error.lines:
            report(line)
        return error.status
    except privileges.PrivilegesFailed as error:
        report(error.line)
        return error.status
    except (wal.Locked, wal.SecondWriter, NoDirectory) as error:
        report(str(error))
        return LOCKED
    except (wal.NewerVersion, opening.NewerRecords) as error:
        report(str(error))
        return BAD_LOG
    except (wal.Corrupt, opening.Unreadable) as error:
        report(
            f"{error} (nothing was changed; to mend it: beanstalkd-binlog repair {chosen.wal_dir})"
        )
        return BAD_LOG
    except DamagedImport as error:
        for line in error.lines:
            report(line)
        return BAD_LOG
    except NoSpace as error:
        report(str(error))
        return NO_SPACE
    except (wal.LogFailed, NotReadable) as error:
        report(str(error))
        return LOG_FAILED
    except Stopped:
        return _stopped()
    except Exception:  # a broken invariant: print the traceback, and stop
        _write(STDERR, traceback.format_exc())
        return BUG


def _fill_standard_descriptors() -> None:
    """Opens /dev/null as descriptor 0, 1 or 2 if it is closed. Otherwise a socket or a file of the
    log would get this number, and printed text would be written to it.
    """
    with suppress(OSError):
        while (fd := os.open(os.devnull, os.O_RDWR)) <= STDERR:
            pass
        os.close(fd)


def _write(fd: int, text: str) -> None:
    """Writes as much as possible, because a closed pipe must not end the server. (Python's streams
    would write the rest at the exit, and fail then.)
    """
    data = os.fsencode(text)  # a path need not be UTF-8
    with suppress(OSError):
        while data:
            data = data[os.write(fd, data) :]


def _serve(chosen: options.Options, report: Callable[[str], None]) -> int:
    def say(line: str) -> None:
        _write(STDOUT, line + "\n")

    # Replay takes a third less time without the garbage collector. Later, server.collector
    # calls the garbage collector.
    gc.disable()
    if chosen.verbosity:
        say(f"pid {os.getpid()}")
    queue = Queue()
    dispatcher = Dispatcher(
        queue,
        max_job_size=chosen.max_job_size,
        binlog_max_size=chosen.segment_bytes,
        process=_process(),
    )
    install_signal_handlers(queue)
    notify = Notify(os.environ, report)
    listeners = listen(chosen, report, os.environ)
    try:
        if chosen.verbosity:
            for listener in listeners.sockets:
                say(f"bind {listener.fileno()} {address_of(listener)}")
        # Before the change of the user: all three load modules that the user may not be able to
        # read.
        _load_take_over(chosen.wal_dir)
        server = Server(
            dispatcher,
            listeners,
            report,
            _max_connections(logged=chosen.wal_dir is not None),
            sync_ms=0 if chosen.never_sync else chosen.sync_ms,
            verbosity=chosen.verbosity,
            say=say,
        )
        progress = Progress(f"reading {chosen.wal_dir}", report, notify)
        if chosen.user is not None:
            privileges.become(chosen.user)
        log = None
        lock = None
        if chosen.wal_dir is not None:
            lock = _lock(chosen.wal_dir)
            try:
                log = _open(chosen, lock, queue, server, report, progress)
                dispatcher.log = log.snapshot
            except wal.LogFull as error:
                raise NoSpace(f"{chosen.wal_dir}: {error}") from error
            except wal.LogFailed as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise NoSpace(str(error)) from error
                raise
            except OSError as error:
                raise NotReadable(
                    f"{error.filename or chosen.wal_dir}: {error.strerror or error}"
                ) from error

        def ready() -> None:
            report(_ready_line(listeners, queue, log, chosen.wal_dir))
            notify(READY=1, STATUS="serving")

        server.serve(log, ready, lambda: notify(STOPPING=1))
        ignore_signals()
        if lock is not None:
            lock.close()
    finally:
        listeners.close()
    return _stopped()


def _ready_line(
    listeners: Listeners, queue: Queue, log: Binlog | None, directory: str | None
) -> str:
    addresses = ", ".join(address_of(listener) for listener in listeners.sockets)
    held = "memory only"
    if log is not None:
        shown = log.snapshot()
        segments = shown.current_segment - shown.oldest_segment + 1
        jobs = _counted(len(queue.jobs), "job")
        held = f"log {directory}: {jobs} in {_counted(segments, 'segment')}"
    return f"ready: {__version__} on {addresses}, {held}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _stopped() -> int:
    return PID_1_TERMINATED if os.getpid() == 1 else 0


def ignore_signals() -> None:
    """The process is stopping: a further signal must not interrupt that, or kill the process."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def install_signal_handlers(queue: Queue) -> None:
    """Installs the handlers for the start; the server installs its own later. SIGTERM and SIGINT
    end the start at once, because replay can be stopped at any point. SIGUSR1 sets drain mode.
    """

    def stop(number: int, frame: object) -> NoReturn:
        ignore_signals()
        raise Stopped

    def drain(number: int, frame: object) -> None:
        queue.draining = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGUSR1, drain)


def _lock(directory: str) -> wal.Lock:
    try:
        return wal.lock(directory)
    except OSError as error:
        raise NoDirectory(f"failed to lock wal dir {directory}: {error.strerror}") from error


def _load_take_over(directory: str | None) -> None:
    """Loads the modules of the take-over, if there is something to take over."""
    with suppress(OSError):  # `_lock` reports it
        if directory is not None and old_files.present(directory):
            import beanstalkd_py.foreign.takeover  # noqa: F401


def _open(
    chosen: options.Options,
    lock: wal.Lock,
    queue: Queue,
    server: Server,
    report: Callable[[str], None],
    progress: Progress,
) -> Binlog:
    """Replays DIR into the queue and opens it for writing."""
    assert chosen.wal_dir is not None
    if chosen.never_sync:
        durability = wal.Durability.NEVER
    else:
        durability = wal.Durability.WINDOW if chosen.sync_ms else wal.Durability.SYNC
    if old_files.present(chosen.wal_dir):
        from beanstalkd_py.foreign import takeover

        takeover.take_over(
            chosen.wal_dir,
            segment_bytes=chosen.log_segment_bytes,
            wall_now=time.time_ns(),
            date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
            accept_damaged=chosen.accept_damaged_import,
            report=report,
            progress=progress,
        )
    opened = opening.open_binlog(
        chosen.wal_dir,
        queue,
        segment_bytes=chosen.log_segment_bytes,
        durability=durability,
        now=boot_ns(),
        wall_now=time.time_ns(),
        notify=server.wake_up,
        report=report,
        progress=progress,
        lock=lock,
    )
    progress.close()
    return opened


def _process() -> Callable[[], ProcessSnapshot]:
    """Returns a function for the figures of this process in `stats`."""
    it = facts()
    started_at = boot_ns()
    id = os.urandom(8).hex()

    def snapshot() -> ProcessSnapshot:
        user_s, system_s = cpu_seconds()
        return ProcessSnapshot(
            pid=it.pid,
            version=C_VERSION,
            id=id,
            hostname=it.hostname,
            os=it.os,
            platform=it.platform,
            started_at=started_at,
            user_cpu_s=user_s,
            system_cpu_s=system_s,
        )

    return snapshot


def _max_connections(logged: bool) -> int:
    """The number of all descriptors, less those that the process itself needs. So neither accept()
    nor the log runs out of descriptors.

    The log keeps each preallocated segment open: 2 or 3 at the default size, dozens if segments are
    small and jobs are large.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    except (ValueError, OSError):
        pass  # some systems refuse their own hard limit: the soft limit stays
    try:
        in_use = len(os.listdir("/proc/self/fd"))
    except OSError:
        in_use = 8  # without /proc: an estimate that is a little too high
    spare = max(SPARE_DESCRIPTORS, min(LOG_DESCRIPTORS, soft // 4)) if logged else SPARE_DESCRIPTORS
    return max(1, soft - in_use - spare)
