"""Clients parse what `stats` shows. Strict ones refuse what the C server would not send."""

from __future__ import annotations

import re

from testkit.start import Start

# A number, seconds with microseconds, a word of the protocol, the server's id, or a quoted text
# without escapes.
VALUE = re.compile(r'0|[1-9][0-9]*|[0-9]+\.[0-9]{6}|true|false|[0-9a-f]{16}|"[^"\\]*"')


def test_version_in_stats_is_exactly_that_of_the_c_server(start: Start) -> None:
    """Perl's version->parse("v1.13"), and semver of "1.13.0", accept it; any suffix ends them."""
    assert start().client().stat(b"version") == b'"1.13"'


def test_stats_values_have_only_forms_of_the_c_server(start: Start, log: str) -> None:
    reply = start("-b", log).client().ask(b"stats\r\n").decode()
    lines = reply.split("\n")[2:-2]
    assert len(lines) > 40
    assert [line for line in lines if not VALUE.fullmatch(line.partition(": ")[2])] == []
