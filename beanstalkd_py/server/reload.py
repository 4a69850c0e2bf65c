"""SIGHUP: the configuration file is read again, and what can change while the server runs changes.

A file with a mistake changes nothing. The file is read on the loop thread: it is small, and must be
a regular file.
"""

import signal
from collections.abc import Callable
from time import monotonic_ns, time

from beanstalkd_py.config import changes, file
from beanstalkd_py.config.flags import CommandLine
from beanstalkd_py.config.options import Options
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.events import EventLog
from beanstalkd_py.host.notify import Notify
from beanstalkd_py.server.limits import set_limits
from beanstalkd_py.server.schedules import CHECK_S, Schedules
from beanstalkd_py.server.server import Server


class Reloader:
    """running: the options that the server runs with."""

    def __init__(
        self,
        server: Server,
        command_line: CommandLine,
        running: Options,
        events: EventLog,
        notify: Notify,
    ) -> None:
        assert command_line.config is not None
        self._path = command_line.config
        self._server = server
        self._command_line = command_line
        self._running = running
        self._events = events
        self._notify = notify
        self._schedules: Schedules | None = None
        self.others: list[Callable[[Options], None]] = []  # called with the new options

    def start(self) -> None:
        """From here on SIGHUP reloads. A signal that came before, while SIGHUP was blocked, takes
        effect when the loop runs.
        """
        self._server.on_signal(signal.SIGHUP, self.reload)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])

    def ready(self) -> None:
        """The log is open: schedules begin."""
        server = self._server
        self._schedules = Schedules(
            server.queue, self._events, time, boot_ns, server.context.settle
        )
        self._schedules.set(self._running.schedule)
        server.every(CHECK_S, self._schedules.check)

    def reload(self) -> None:
        if not self._notify.ready:  # READY=1 would end the start
            self._reload()
            return
        self._notify(RELOADING=1, MONOTONIC_USEC=monotonic_ns() // 1000)
        self._reload()
        self._notify(READY=1)

    def _reload(self) -> None:
        try:
            wanted = self._command_line.over(file.read(self._path))
        except file.WrongFile as error:
            self._events(
                f"not reloaded: {error.summary}; nothing has changed",
                event="not_reloaded",
                file=self._path,
            )
            return
        found = changes.compare(self._running, wanted)
        options = found.options
        changes_level = options.log_level != self._running.log_level
        self._running = options
        apply(self._server, options)
        if self._schedules is not None:
            self._schedules.set(options.schedule)
        for reload in self.others:
            reload(options)
        # Whoever asks for fewer events is told that they get them.
        self._events.set(options.log_format, "info" if changes_level else options.log_level)
        self._events.info(f"reloaded {self._path}: {found}", event="reloaded", file=self._path)
        self._events.set(options.log_format, options.log_level)


def apply(server: Server, options: Options) -> None:
    """Sets all that can change in a running server. A body that is being received goes on."""
    server.verbosity = options.verbosity
    server.sync_ms = options.sync_window_ms  # if the log is not open yet
    server.context.outbox.set_window(options.sync_window_ms)
    server.dispatcher.max_job_size = options.max_job_size
    for connection in server.connections.values():
        connection.session.parser.max_job_size = options.max_job_size
    set_limits(server, options)
