"""The program: `python -m beanstalkd_py`, and the console script. It runs the daemon."""

import sys
from typing import NoReturn

from beanstalkd_py.host import signals


def run() -> NoReturn:
    signals.block()
    from beanstalkd_py import cli

    cli.run()


if __name__ == "__main__":
    sys.argv[0] = "beanstalkd-py"  # messages have the name of the installed program
    run()
