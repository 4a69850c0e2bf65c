"""The program: `python -m beanstalkd_py`, and the console script. It runs the daemon.

If the first argument is the word `ping`, it asks a server for an answer instead. With the word
`password` it writes a line of a password file. No flag of the server can be such a word: the C
server, too, refuses an argument that does not begin with a hyphen.
"""

import gc
import sys
from typing import NoReturn

from beanstalkd_py.host import signals


def run() -> NoReturn:
    if sys.argv[1:2] == ["ping"]:
        from beanstalkd_py import ping

        sys.exit(ping.main(sys.argv))
    if sys.argv[1:2] == ["password"]:
        from beanstalkd_py import password

        sys.exit(password.main(sys.argv))
    signals.block()
    gc.disable()  # imports leave little garbage, and each collection walks all modules: 10 ms
    from beanstalkd_py import cli

    cli.run()


if __name__ == "__main__":
    sys.argv[0] = "beanstalkd-py"  # messages have the name of the installed program
    run()
