"""The start of the daemon. The command line and the order of steps are those of the C server.

Order: options, listening sockets, user, binlog (lock and replay), serve. A server that is ready
writes one line to stderr. An error writes at least one line to stderr and ends the process with a
status: 5 command line, 111 sockets, 32 to 34 user, 10 directory or lock, 1 no space to start, 65
damaged or newer log, 71 the system refuses a thread, a descriptor or memory, 74 a file of the log
cannot be read or written, 70 a bug (with a traceback). A stop is 0, or 143 as process 1.
"""

import gc
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOMEM
from typing import NoReturn

import beanstalkd_wal as wal

from beanstalkd_py import openlog
from beanstalkd_py.binlog import opening
from beanstalkd_py.binlog.refusals import what_helps
from beanstalkd_py.config import file, flags
from beanstalkd_py.config.flags import CommandLine
from beanstalkd_py.config.options import Options
from beanstalkd_py.foreign.old_files import DamagedImport
from beanstalkd_py.host import privileges, signals
from beanstalkd_py.host.events import INTERVAL_NS, EventLog, is_journal
from beanstalkd_py.host.notify import Notify
from beanstalkd_py.host.process import (
    START_DESCRIPTORS,
    fill_standard_descriptors,
    max_connections,
    require_descriptors,
)
from beanstalkd_py.host.progress import Progress
from beanstalkd_py.host.stderr import Stderr
from beanstalkd_py.openlog import NoDirectory, NoResources, NoSpace, NotReadable
from beanstalkd_py.protocol.dispatch import Dispatcher
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.server.diskwatch import DiskWatch
from beanstalkd_py.server.lifecycle import Draining, report_ready
from beanstalkd_py.server.limits import give_figures, set_limits
from beanstalkd_py.server.listen import ListenFailed, address_of, listen
from beanstalkd_py.server.process import process_snapshots
from beanstalkd_py.server.reload import Reloader
from beanstalkd_py.server.server import Server

STDOUT, STDERR = 1, 2
NO_SPACE, LOCKED, BAD_LOG, BUG, NO_RESOURCES, LOG_FAILED = 1, 10, 65, 70, 71, 74
PID_1_TERMINATED = 143
EVENTS_CHECK_S = INTERVAL_NS / 1e9
DRAINING_CHECK_S = 1.0


def run() -> NoReturn:
    """The console script.

    Python's own exit would restore the default effect of the signals, so that one more SIGTERM
    could replace the status. It would also free each job.
    """
    os._exit(main(sys.argv))


def main(argv: list[str]) -> int:
    """Runs the daemon until it must stop. Returns the exit status. Messages begin with argv[0]."""
    prog = argv[0]
    fill_standard_descriptors()
    events = EventLog(prog, Stderr(STDERR).write, is_journal(STDERR, os.environ))

    def fail(status: int, *lines: str) -> int:
        for line in lines:
            events.error(line, status=status)
        return status

    try:
        command_line = flags.parse(argv[1:], prog)
        chosen = command_line.over({})
        if not command_line.check_config:
            events.set(chosen.log_format, chosen.log_level)
        if command_line.config is not None:
            chosen = command_line.over(file.read(command_line.config))
            if command_line.check_config and chosen.http_password_file is not None:
                from beanstalkd_py.config import passwords  # 3 ms

                passwords.read(chosen.http_password_file)
    except flags.Exit as end:
        _write(STDOUT, end.stdout)
        _write(STDERR, end.stderr)
        return end.status
    except file.WrongFile as error:
        return fail(flags.USAGE_ERROR, *error.lines)
    if not command_line.check_config:
        events.set(chosen.log_format, chosen.log_level)
    for warning in command_line.warnings:
        events(warning)
    if command_line.check_config:
        _write(STDOUT, f"{prog}: {command_line.config}: no mistakes\n")
        return 0
    try:
        return _serve_until_the_end(command_line, chosen, events)
    except file.WrongFile as error:
        return fail(flags.USAGE_ERROR, *error.lines)
    except ListenFailed as error:
        return fail(error.status, *error.lines)
    except privileges.PrivilegesFailed as error:
        return fail(error.status, error.line)
    except (wal.Locked, wal.SecondWriter, NoDirectory) as error:
        return fail(LOCKED, str(error))
    except (wal.NoThread, NoResources) as error:
        return fail(NO_RESOURCES, str(error))
    except (wal.NewerVersion, opening.NewerRecords) as error:
        return fail(BAD_LOG, str(error))
    except wal.WrongName as error:
        return fail(BAD_LOG, f"{error} (nothing was changed)")
    except (wal.Corrupt, opening.Unreadable) as error:
        repair = f"to mend it: beanstalkd-binlog repair {chosen.wal_dir}"
        return fail(BAD_LOG, f"{error} (nothing was changed; {repair})")
    except DamagedImport as error:
        return fail(BAD_LOG, *error.lines)
    except NoSpace as error:
        return fail(NO_SPACE, str(error))
    except wal.LogFailed as error:
        if error.errno == ENOMEM:
            return fail(NO_RESOURCES, f"{error}; {what_helps(ENOMEM)}")
        return fail(LOG_FAILED, str(error))
    except NotReadable as error:
        return fail(LOG_FAILED, str(error))
    except signals.Stopped as stop:
        events.info(
            f"stopping: {stop} before the server was ready", event="stopping", why=f"{stop}"
        )
        return _stopped()
    except MemoryError as error:
        return fail(NO_RESOURCES, _out_of_memory(error))
    except Exception as error:  # a broken invariant
        events.bug(error)
        return BUG


def _out_of_memory(error: MemoryError) -> str:
    """For the cases in which the server cannot go on: a start, or the middle of a change."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(place.filename)}, line {place.lineno}"
    return f"out of memory ({where}): allow more memory (ulimit -v, LimitAS=)"


def _write(fd: int, text: str) -> None:
    """Writes as much as possible, because a closed pipe must not end the server. (Python's streams
    would write the rest at the exit, and fail then.)
    """
    data = os.fsencode(text)  # a path need not be UTF-8
    with suppress(OSError):
        while data:
            data = data[os.write(fd, data) :]


def _serve_until_the_end(command_line: CommandLine, chosen: Options, events: EventLog) -> int:
    """A signal that comes after the end, or after the failure, does not change the status."""
    try:
        return _serve(command_line, chosen, events)
    finally:
        signals.ignore()
        events.close()


def _serve(command_line: CommandLine, chosen: Options, events: EventLog) -> int:
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
        process=process_snapshots(),
    )

    draining = Draining(queue, events)
    signals.install(draining.begin, reloads=command_line.config is not None)
    notify = Notify(os.environ, events)
    watch = DiskWatch(events)
    http = None
    with ExitStack() as stack:
        stack.callback(watch.close)
        with signals.deferred():  # until there is someone to remove the socket file
            listeners = listen(chosen, events, os.environ)
            stack.callback(listeners.close)
        if chosen.verbosity:
            for listener in listeners.sockets:
                say(f"bind {listener.fileno()} {address_of(listener)}")
        # Before the change of the user: all load modules that the user may not be able to read.
        with _needed():
            require_descriptors(START_DESCRIPTORS)
            openlog.load_take_over(chosen.wal_dir)
            server = Server(
                dispatcher,
                listeners,
                events,
                max_connections(chosen.wal_dir is not None, chosen.http is not None),
                sync_ms=chosen.sync_window_ms,
                verbosity=chosen.verbosity,
                say=say,
            )
        set_limits(server, chosen)
        give_figures(server)
        reloader = None
        if command_line.config is not None:
            reloader = Reloader(server, command_line, chosen, events, notify)
            reloader.start()
        is_text = chosen.log_format == "text"
        progress = Progress(f"reading {chosen.wal_dir}", events.info, notify, may_show_bar=is_text)
        if chosen.http is not None:
            from beanstalkd_py.http import side  # without --http nothing of it is imported

            with signals.deferred():
                http = side.start(chosen.http, chosen, server, watch, events)
                stack.callback(http.close)
            if reloader is not None:
                reloader.others.append(http.reload)
            progress.each = http.turn
        if chosen.user is not None:
            privileges.become(chosen.user)
        log = None
        lock = None
        if chosen.wal_dir is not None:
            lock = openlog.lock(chosen.wal_dir)
            log = openlog.open_log(chosen, lock, queue, server.wake_up, events, progress, watch)
            dispatcher.log = log.snapshot

        def ready() -> None:
            addresses = [address_of(listener) for listener in listeners.sockets]
            if http is not None:
                http.ready(log)
                addresses.append(f"http on {http.address}")
            report_ready(events, addresses, queue, log, chosen.wal_dir)
            events.limit()
            if reloader is not None:
                reloader.ready()
            server.every(EVENTS_CHECK_S, events.check)
            server.every(DRAINING_CHECK_S, draining.check)
            notify(READY=1, STATUS="serving")
            if notify.watchdog_s:
                server.every(notify.watchdog_s / 2, lambda: notify(WATCHDOG=1))

        def stopping() -> None:
            if server.failure is None:
                draining.check()
                events.info(
                    f"stopping: {server.stopped_by}", event="stopping", why=server.stopped_by
                )
            if http is not None:
                http.stopping()
            notify(STOPPING=1)

        server.serve(log, ready, stopping)
        if lock is not None:
            lock.close()
    return _stopped()


@contextmanager
def _needed() -> Iterator[None]:
    """What the server cannot run without: epoll, eventfd, the loop. (libev aborts the process if it
    gets no descriptor, so their number is checked first.)
    """
    try:
        yield
    except OSError as error:
        raise NoResources(f"cannot start: {error.strerror}; the limit may be ulimit -n") from error


def _stopped() -> int:
    return PID_1_TERMINATED if os.getpid() == 1 else 0
