"""`python -m beanstalkd_py` runs the daemon; its messages have the name of the installed one."""

import sys

from beanstalkd_py.cli import main

if __name__ == "__main__":
    sys.exit(main(["beanstalkd-py", *sys.argv[1:]]))
