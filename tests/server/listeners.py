"""Listening sockets of the server, opened in the test's own process."""

import os
import socket
from contextlib import closing

import pytest
from testkit.waiting import HANG_S

from beanstalkd_py.config.options import Options
from beanstalkd_py.server import listen as listen_module
from beanstalkd_py.server.listen import ListenFailed, listen


def open_listeners(address=None, port="0", said=None, environ=None):
    report = pytest.fail if said is None else said.append
    return closing(
        listen(Options(address=address, port=port), report, {} if environ is None else environ)
    )


def failure(address=None, port="0", environ=None):
    with pytest.raises(ListenFailed) as caught:
        listen(Options(address=address, port=port), pytest.fail, {} if environ is None else environ)
    assert caught.value.status == 111
    return caught.value.lines


def answers(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(HANG_S)
        return client.connect_ex(address) == 0


def python_path():
    root = os.path.dirname(os.path.dirname(os.path.dirname(listen_module.__file__)))
    return {**os.environ, "PYTHONPATH": root}
