"""The parser of command lines, except for the server's own: see `flags`.

A wrong command line is one line on stderr, the usage, and an exit status of the C server.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

USAGE_ERROR = 5


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n{self.format_usage()}")
