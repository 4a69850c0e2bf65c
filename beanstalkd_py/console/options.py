"""The command line of `beanstalkd-console`. Needs no library, so its manual page needs none."""

import argparse

from beanstalkd_py import __version__
from beanstalkd_py.config.parser import Parser

DEFAULT_SERVER = "127.0.0.1:11300"
DEFAULT_HTTP = "127.0.0.1:11381"

Address = tuple[str, int]


def parser(prog: str) -> argparse.ArgumentParser:
    parser = Parser(
        prog,
        description="Shows a beanstalkd server in a browser, and acts on its jobs and tubes. The "
        "server can be of any version, also beanstalkd itself, which tells less.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--server",
        metavar="HOST:PORT",
        type=_address,
        default=DEFAULT_SERVER,
        help="the server to show (default: %(default)s)",
    )
    parser.add_argument(
        "--http",
        metavar="ADDR:PORT",
        type=_where,
        default=DEFAULT_HTTP,
        help="where browsers connect (default: %(default)s; port 0: any free one)",
    )
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help="who may use the console: lines of `beanstalkd-py password` (default: no login)",
    )
    parser.add_argument(
        "--read-only", action="store_true", help="nobody may change anything by the console"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _where(text: str) -> str:
    _address(text)
    return text


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal()) or int(port) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"not HOST:PORT: {text}")
    return host.removeprefix("[").removesuffix("]"), int(port)
