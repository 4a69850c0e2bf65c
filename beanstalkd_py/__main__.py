"""`python -m beanstalkd_py` is the daemon, under the name it has when it is installed."""

import sys

from beanstalkd_py.cli import main

if __name__ == "__main__":
    sys.exit(main(["beanstalkd-py", *sys.argv[1:]]))
