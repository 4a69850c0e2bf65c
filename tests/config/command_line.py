"""Reads a command line in a test. The usage is that of Debian's beanstalkd 1.12, except the lines
on -f and --help.
"""

import pytest

from beanstalkd_py.config.flags import Exit, parse
from beanstalkd_py.config.options import Options

PROG = "./beanstalkd-py"

USAGE = f"""\
Use: {PROG} [OPTIONS]

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


def read(*words: str) -> Options:
    return parse(words, PROG).over({})


def warnings(*words: str) -> tuple[str, ...]:
    return parse(words, PROG).warnings


def end(*words: str) -> Exit:
    with pytest.raises(Exit) as caught:
        read(*words)
    return caught.value
