"""The manual page of `beanstalkd-console`."""

from __future__ import annotations

from beanstalkd_py import __version__
from beanstalkd_py.console.options import parser

from .arguments import options_of, usage
from .roff import bold, definitions, escaped, paragraph, section, title

PROGRAM = "beanstalkd-console"
_ABOUT = "A beanstalkd-py with --http has a console of its own, which shows more."
_STATUSES = (
    ("0", "stopped by a signal"),
    ("5", "wrong command line or password file"),
    ("111", "cannot listen"),
)


def page() -> str:
    arguments = parser(PROGRAM)
    return "".join(
        [
            title(PROGRAM, __version__),
            section("Name", f"{escaped(PROGRAM)} \\- web console for beanstalkd servers\n"),
            section("Synopsis", f"{bold(PROGRAM)} {usage(arguments)}\n"),
            section("Description", paragraph(escaped(f"{arguments.description} {_ABOUT}"))),
            section("Options", options_of(arguments)),
            section("Exit status", definitions((bold(n), escaped(text)) for n, text in _STATUSES)),
            section("See also", f"{bold('beanstalkd-py')}(1)\n"),
        ]
    )
