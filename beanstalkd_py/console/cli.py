"""`beanstalkd-console`: the console and the JSON API of any beanstalkd server, in a process of its
own. It asks the server by the protocol.

Exit status: 0 after a signal. 5 for a wrong command line or password file. 111 if it cannot listen.
"""

import signal
import socket
from collections.abc import Sequence

import gevent
from gevent.event import Event
from werkzeug.wrappers import Request, Response

from beanstalkd_py.config import passwords
from beanstalkd_py.config.file import WrongFile
from beanstalkd_py.config.parser import USAGE_ERROR
from beanstalkd_py.console.options import parser
from beanstalkd_py.host.events import EventLog, Report
from beanstalkd_py.host.stderr import Stderr
from beanstalkd_py.http.access import Access
from beanstalkd_py.http.api.api import Api
from beanstalkd_py.http.api.remote import Remote
from beanstalkd_py.http.api.turns import Turns
from beanstalkd_py.http.application import Application, text
from beanstalkd_py.http.connections import Connections
from beanstalkd_py.http.console import assets
from beanstalkd_py.http.listening import listen_http
from beanstalkd_py.server.listen import ListenFailed, address_of

STDERR = 2


def main(argv: Sequence[str]) -> int:
    """argv[0]: the program's name. Returns the exit status."""
    chosen = parser(argv[0]).parse_args(argv[1:])
    events = EventLog(argv[0], Stderr(STDERR).write)
    events.set("text", "info")
    try:
        users = None if chosen.password_file is None else passwords.read(chosen.password_file)
        listener = listen_http(chosen.http, users is not None, "127.0.0.1", "--password-file")
    except WrongFile as error:
        for each in error.lines:
            events.error(each, status=USAGE_ERROR)
        return USAGE_ERROR
    except ListenFailed as error:
        for each in error.lines:
            events.error(each, status=error.status)
        return error.status
    source = Remote(*chosen.server)
    _serve(listener, source, Access(users, True, chosen.read_only, events), events)
    events.info(f"ready: http://{address_of(listener)}/ shows {source.name}", event="ready")
    _wait_for_signal()
    return 0


def _serve(listener: socket.socket, source: Remote, access: Access, report: Report) -> None:
    def failed(what: str, error: Exception) -> None:
        connections.failed(what, error)

    api = Api(source, Turns(), failed)
    pages = {**assets.pages(), "/healthz": _healthz}
    connections = Connections([listener], Application(pages, access, api.respond), report)
    connections.begin()


def _healthz(request: Request) -> Response:
    return text("ok\n")


def _wait_for_signal() -> None:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, stop.set)
    stop.wait()
