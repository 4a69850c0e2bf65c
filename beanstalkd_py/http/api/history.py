"""The records of a job in the log, by `beanstalkd-binlog history` in a process of its own.

It reads the whole log, which may take a minute. So it must not run on the loop, and one process
runs at a time. Its priority is not lowered: the filter of our systemd unit would end the server for
that call.
"""

import json
import subprocess
import sys
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from gevent.os import make_nonblocking, nb_read

from beanstalkd_py.http.api.errors import ApiError

TIME_S = 60.0
WAIT_S = 10.0  # for the process of another request
MOST_BYTES = 1 << 20  # of its answer
POLL_S = 0.005

# As `python -m beanstalkd_binlog`, which would take modules from the working directory first.
_PROGRAM = (
    "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    "runpy.run_module('beanstalkd_binlog', run_name='__main__', alter_sys=True)"
)
_one = BoundedSemaphore(1)


def of_job(directory: str, id: int) -> list[dict[str, Any]]:
    """Raises ApiError."""
    if not _one.acquire(timeout=WAIT_S):
        raise ApiError(503, "busy", "The log is being read for another request: try again.")
    try:
        return [json.loads(line) for line in _output(directory, id).splitlines()]
    except OSError as error:
        raise ApiError(503, "no_process", f"The log cannot be read: {error.strerror}.") from error
    finally:
        _one.release()


def _output(directory: str, id: int) -> bytes:
    command = [sys.executable, "-c", _PROGRAM, "history", "--json", directory, str(id)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        message = f"The log could not be read within {TIME_S:.0f} s."
        with gevent.Timeout(TIME_S, ApiError(504, "no_answer", message)):
            found, at_end = _read(process.stdout.fileno())
            while at_end and process.poll() is None:
                gevent.sleep(POLL_S)
    finally:
        process.stdout.close()
        process.kill()
        while process.poll() is None:
            gevent.sleep(POLL_S)
    if at_end and process.returncode and not found:
        message = f"The log cannot be read: beanstalkd-binlog has ended with {process.returncode}."
        raise ApiError(503, "no_history", message)
    return found


def _read(fd: int) -> tuple[bytes, bool]:
    """Whole lines, up to MOST_BYTES, and whether the output has ended."""
    make_nonblocking(fd)
    got = bytearray()
    while len(got) < MOST_BYTES and (data := nb_read(fd, 1 << 16)):
        got += data
    return bytes(got[: got.rfind(b"\n") + 1]), len(got) < MOST_BYTES
