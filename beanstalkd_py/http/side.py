"""The HTTP side of a server. A server imports this package only if it has --http.

It runs on greenlets of the server's loop. While the start replays the log, the loop does not turn
by itself: `turn` lets it turn now and then, so that /healthz and /readyz are answered.
"""

import socket
from time import monotonic

import gevent
from werkzeug.wrappers import Request, Response

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.config import passwords
from beanstalkd_py.config.file import WrongFile
from beanstalkd_py.config.options import Options
from beanstalkd_py.host import signals
from beanstalkd_py.host.events import Report
from beanstalkd_py.http.access import Access
from beanstalkd_py.http.api.api import Api
from beanstalkd_py.http.api.local import Local
from beanstalkd_py.http.api.turns import Turns
from beanstalkd_py.http.application import Application, text
from beanstalkd_py.http.connections import Connections
from beanstalkd_py.http.console import assets
from beanstalkd_py.http.health import STOPPING, Health
from beanstalkd_py.http.listening import listen_http
from beanstalkd_py.http.measures import Measures
from beanstalkd_py.http.metrics import Metrics
from beanstalkd_py.server.diskwatch import DiskWatch
from beanstalkd_py.server.listen import Listeners, address_of, listen_unix
from beanstalkd_py.server.server import Server

TURN_EVERY_S = 0.05  # while the log is replayed
TURN_S = 0.001
INSTEAD = ("127.0.0.1, unix:PATH", "--http-password-file")  # of an address that others reach


def start(
    where: str, options: Options, server: Server, watch: DiskWatch, report: Report
) -> "HttpSide":
    """where: the value of --http. Raises ListenFailed, and WrongFile for the password file."""
    users = None
    if options.http_password_file is not None:
        users = passwords.read(options.http_password_file)
    listeners = _listen(where, options, report)
    loopback = listeners.sockets[0].family != socket.AF_UNIX
    access = Access(users, loopback, options.http_read_only, report)
    return HttpSide(listeners, server, watch, options.wal_dir, report, access)


def _listen(where: str, options: Options, report: Report) -> Listeners:
    if where.startswith("unix:"):
        return listen_unix(where.removeprefix("unix:"), options, report)
    has_login = options.http_password_file is not None
    return Listeners([listen_http(where, has_login, *INSTEAD)])


class HttpSide:
    """listeners: where it listens. It answers as soon as the loop turns. directory: of the log."""

    def __init__(
        self,
        listeners: Listeners,
        server: Server,
        watch: DiskWatch,
        directory: str | None,
        report: Report,
        access: Access,
    ) -> None:
        self._listeners = listeners
        self._turn_at = 0.0
        self._access = access
        self._report = report
        self._server = server
        self._measures = Measures()
        watch.observe = self._measures.disk_call
        server.queue.measures_waits = True
        for tube in server.queue.tube_list:
            tube.measure_waits()
        self._health = Health(server.queue)
        metrics = Metrics(server.dispatcher, self._health, self._measures)
        pages = {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": metrics.page}
        pages.update(assets.pages())
        turns = Turns()
        source = Local(server, self._health, turns, directory)
        api = Api(source, turns, lambda what, error: self._connections.failed(what, error))
        application = Application(pages, access, api.respond)
        self._connections = Connections(listeners.sockets, application, report)
        self._connections.serves = False
        self._connections.begin()

    # --- the life of the server

    def turn(self) -> None:
        """To be called often while the log is replayed."""
        if monotonic() >= self._turn_at:
            # A signal raises an exception, which must end the start and no greenlet.
            with signals.deferred():
                gevent.sleep(TURN_S)
            self._turn_at = monotonic() + TURN_EVERY_S

    def ready(self, log: Binlog | None) -> None:
        self._health.log = log
        if log is not None:
            self._measures.commit(log.log.lsn)
            self._server.context.outbox.on_commit = self._measures.commit
        self._health.phase = ""
        self._connections.serves = True

    def stopping(self) -> None:
        self._health.phase = STOPPING

    def reload(self, options: Options) -> None:
        """The configuration file was read again: reads the password file again."""
        self._access.read_only = options.http_read_only
        if options.http_password_file is None:
            return
        try:
            self._access.set_users(passwords.read(options.http_password_file))
        except WrongFile as error:
            self._report(
                f"not reloaded: {error.summary}; the old passwords stay in use",
                event="not_reloaded",
                file=options.http_password_file,
            )

    def close(self) -> None:
        self._listeners.close()

    @property
    def address(self) -> str:
        return address_of(self._listeners.sockets[0])

    # --- pages

    def _healthz(self, request: Request) -> Response:
        """The loop turns, so this is answered."""
        return text("ok\n")

    def _readyz(self, request: Request) -> Response:
        reason = self._health.reason
        return text(f"{reason or 'ready'}\n", 503 if reason else 200)
