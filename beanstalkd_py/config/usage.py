"""The texts of `-h` and `--help`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from beanstalkd_py.config.table import OPTIONS, Group, Option

_WIDTH = 79

_SHORT = """\
Use: {prog} [OPTIONS]

Options:
 -b DIR   write-ahead log directory
 -f MS    fsync at most once every MS milliseconds (default is 0ms:
          no reply leaves before its change is on disk)
 -F       never fsync
 -l ADDR  listen on address (default is 0.0.0.0)
 -p PORT  listen on port (default is 11300)
 -u USER  become user and group
 -z BYTES set the maximum job size in bytes (default is 65535);
          max allowed is 1073741824 bytes
 -s BYTES set the size of each write-ahead log file (default is 10485760);
          will be rounded up to a multiple of 4096 bytes
 -v       show version information
 -V       increase verbosity
 -h       show this help
 --help   show all options, also those with long names only
"""


def short(prog: str) -> str:
    """The C server's text, as `-h` and a usage error show it."""
    return _SHORT.format(prog=prog)


def full(prog: str) -> str:
    """All options, by group."""
    parts = [
        f"Use: {prog} [OPTIONS]\n",
        f"     {prog} ping [--help | OPTIONS]    ask a server for an answer\n",
    ]
    for group in Group:
        rows = [option for option in OPTIONS if option.group is group]
        parts.append(f"\n{group.value}:\n")
        parts.extend(line for option in rows for line in _lines(option))
    return "".join(parts)


def _lines(option: Option) -> Iterator[str]:
    yield f"  {names(option)}\n"
    default = f" (default: {option.default})" if option.default else ""
    text = textwrap.fill(
        option.help + default, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8
    )
    yield f"{text}\n"


def names(option: Option) -> str:
    """-z, --max-job-size BYTES"""
    letter = f"-{option.letter}, " if option.letter else ""
    return f"{letter}{option.long} {option.value}".rstrip()
