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
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "kick-tube-in-used",
        "kick-tube kicks jobs of the tube that the client uses",
        "beanstalkd_py/protocol/extensions.py",
        "        return self._answers.kick_in_slices(client, now, tube, bound)\n",
        "        return self._answers.kick_in_slices(client, now, client.used, bound)\n",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "extensions-two-spaces",
        "an extension command with two spaces before an argument is accepted",
        "beanstalkd_py/protocol/lines.py",
        '    words = rest.split(b" ")\n',
        "    words = rest.split()\n",
        _EXTENSIONS,
    ),
)
