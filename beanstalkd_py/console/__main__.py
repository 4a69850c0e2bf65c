"""The program `beanstalkd-console`."""

import sys
from typing import NoReturn

from beanstalkd_py.console import cli


def run() -> NoReturn:
    sys.exit(cli.main(sys.argv))


if __name__ == "__main__":
    sys.argv[0] = "beanstalkd-console"  # messages have the name of the installed program
    run()
