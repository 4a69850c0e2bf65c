"""Signals during the start and at the end. While it serves, the server has its own handlers, except
for SIGUSR1. The handler of SIGUSR1 also runs during a blocking poll. So a command that is sent
after the signal finds the server in drain mode.

SIGHUP has its default effect, as in the C server, unless there is a configuration file to reload:
then it stays blocked until the server has a handler for it.

`block` comes first: to import the server takes a while, and a signal in that time would kill the
process. `install` ends the blocking. SIGTERM and SIGINT then end the start at once, because replay
can be stopped at any point. After `ignore`, no signal changes how the process ends.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

_deferred: list[int] = []  # of each `deferred` that is open: the signal that has arrived


class Stopped(BaseException):
    """SIGTERM or SIGINT before the loop runs. A BaseException, so that no `except Exception` treats
    it as an error. Its text is the signal's name.
    """


def block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [*SIGNALS, signal.SIGHUP])


def install(drain: Callable[[], None], reloads: bool = False) -> None:
    """drain: called on SIGUSR1. reloads: whether SIGHUP stays blocked. Other signals that were
    blocked take effect here: may raise Stopped.
    """
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    signal.signal(signal.SIGUSR1, lambda number, frame: drain())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS if reloads else [*SIGNALS, signal.SIGHUP])


@contextmanager
def deferred() -> Iterator[None]:
    """A stop in the block takes effect at its end: may raise Stopped there. To block the signals is
    not enough: another thread takes them, and Python calls the handler in the main thread.
    """
    _deferred.append(0)
    try:
        yield
    finally:
        number = _deferred.pop()
    if number:
        _stop(number, None)


def _stop(number: int, frame: object) -> None:
    if _deferred:
        _deferred[-1] = number
        return
    ignore()
    raise Stopped(signal.Signals(number).name)


def ignore() -> None:
    """Not SIG_IGN: if a signal that Python has not handled yet is ignored meanwhile, Python prints
    a line about that.
    """
    for number in SIGNALS:
        signal.signal(number, _nothing)


def _nothing(number: int, frame: object) -> None:
    pass
