"""Mutants of the commands that the C server does not have."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_EXTENSIONS = ("tests/wire/test_engine.py -k extensions",)

EXTENSIONS = (
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "more-stats-for-all",
        "stats has more keys for a client that has not said capabilities",
        "beanstalkd_py/protocol/dispatch.py",
        "        more = self._more_stats() if client.has_capabilities else []\n",
        "        more = self._more_stats()\n",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "extension-words-as-prefixes",
        "a line whose word only begins like an extension is taken for it",
        "beanstalkd_py/protocol/commands.py",
        "    sorted(((row.word, number) for number, row in enumerate(C_COMMANDS)),",
        "    sorted(((row.word, number) for number, row in enumerate(COMMANDS)),",
        _EXTENSIONS,
    ),
)
