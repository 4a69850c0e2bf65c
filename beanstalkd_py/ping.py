"""`beanstalkd-py ping`: asks a server for an answer. It is meant for health checks and probes.

The question is `list-tube-used`: every beanstalkd server answers it, and it changes nothing. Exit
status: 0 if the server answered. 1 if not, with one line on stderr. 5 for a wrong command line.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable, Sequence
from threading import Thread

from beanstalkd_py.config.parser import Parser

NO_ANSWER = 1
LONGEST_REPLY = 256
DEFAULT_ADDRESS = "127.0.0.1:11300"
DEFAULT_TIMEOUT_S = 3.0

Address = tuple[str, int] | str  # str: the path of a unix socket


class NoAnswer(Exception):
    """The text says what came in place of the answer."""


def main(argv: Sequence[str]) -> int:
    """argv[1] is the word `ping`."""
    prog = f"{argv[0]} ping"
    chosen = parser(prog).parse_args(argv[2:])
    try:
        within(chosen.timeout, lambda: ask(chosen.address))
        return 0
    except TimeoutError as error:  # the kernel's has a text
        reason = error.strerror or f"no answer within {chosen.timeout:g} s"
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeError:  # of socket, which encodes the name
        reason = "not a name of a host"
    except (NoAnswer, RuntimeError) as error:  # RuntimeError: the system refuses a thread
        reason = str(error)
    print(f"{prog}: {shown(chosen.address)}: {reason}", file=sys.stderr)
    return NO_ANSWER


def within(timeout_s: float, call: Callable[[], None]) -> None:
    """Raises what the call raises, or TimeoutError if it takes longer.

    The call runs on a thread, because nothing else bounds the look-up of a name. A name may also
    have many addresses, which are tried in turn. The end of the process ends the thread.
    """
    outcome: list[Exception | None] = []

    def run() -> None:
        try:
            call()
            outcome.append(None)
        except Exception as error:
            outcome.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not outcome:
        raise TimeoutError
    if outcome[0] is not None:
        raise outcome[0]


def ask(address: Address) -> None:
    """Returns when the server has answered. Raises OSError or NoAnswer."""
    with _connected(address) as server:
        server.sendall(b"list-tube-used\r\n")
        reply = b""
        while not reply.endswith(b"\n") and len(reply) <= LONGEST_REPLY:
            data = server.recv(LONGEST_REPLY)
            if not data:
                raise NoAnswer("the connection was closed")
            reply += data
    if not reply.startswith(b"USING "):
        raise NoAnswer(f"not the answer of a beanstalkd server: {reply.decode('latin-1')!a}")


def _connected(address: Address) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(address)
    except BaseException:
        server.close()
        raise
    return server


def parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        description="Ask a beanstalkd server for an answer. The exit status is 0 if it answers, "
        "and 1 if it does not. A server that still reads its log does not answer.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--address",
        metavar="ADDR",
        type=_address,
        default=DEFAULT_ADDRESS,
        help="HOST:PORT or unix:PATH (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        metavar="S",
        type=_timeout,
        default=DEFAULT_TIMEOUT_S,
        help="seconds until the answer must have come (default: %(default)g)",
    )
    return parser


def _address(text: str) -> Address:
    kind, _, path = text.partition(":")
    if kind == "unix" and path:
        return path
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise argparse.ArgumentTypeError(f"neither HOST:PORT nor unix:PATH: {text}")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"not a number of seconds from 0 to 3600: {text}")
    return seconds


def shown(address: Address) -> str:
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
