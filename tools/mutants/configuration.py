"""Mutants of the flags, the configuration file and its reload."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

CONFIGURATION = (
    Mutant(
        Invariant.DURABLE_BY_DEFAULT,
        "reload-keeps-long-window",
        "a window of -f that has begun outlasts the shorter one of a reload",
        "beanstalkd_py/server/outbox.py",
        "min(self._sync_at, self._now() + self._sync_ns)",
        "self._sync_at",
        ("tests/server/test_outbox.py -k shorter_window",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "mistake-with-wrong-line",
        "a mistake below a value of several lines has another line",
        "beanstalkd_py/config/toml.py",
        '            line += statement.count("\\n")\n',
        "            line += 1\n",
        ("tests/config/test_toml.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "unknown-key-ignored",
        "an unknown key of the configuration file is ignored",
        "beanstalkd_py/config/file.py",
        "            values[key] = _value(key, value)\n",
        "            if key in IN_FILE:\n                values[key] = _value(key, value)\n",
        ("tests/config/test_file.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "first-mistake-only",
        "only the first mistake of the configuration file is reported",
        "beanstalkd_py/config/file.py",
        "key=lambda mistake: mistake.line or 0)",
        "key=lambda mistake: mistake.line or 0)[:1]",
        ("tests/config/test_file.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "file-wins-over-flags",
        "the configuration file wins over a flag",
        "beanstalkd_py/config/flags.py",
        "{**file, **self.given}",
        "{**self.given, **file}",
        ("tests/config/test_flags.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "reload-claims-what-needs-a-restart",
        "a reload says that it has changed what needs a restart",
        "beanstalkd_py/config/changes.py",
        "        if option.reload.allows(old, new):\n",
        "        if True:\n",
        ("tests/config/test_changes.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "reload-for-new-clients-only",
        "a reload changes the largest job for new connections only",
        "beanstalkd_py/server/reload.py",
        "        connection.session.parser.max_job_size = options.max_job_size\n",
        "        pass\n",
        ("tests/server/test_reload.py -k connected_clients",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "hang-up-lost-at-start",
        "a SIGHUP before the server has handlers ends a server with a configuration file",
        "beanstalkd_py/host/signals.py",
        "SIGNALS if reloads else",
        "[*SIGNALS, signal.SIGHUP] if reloads else",
        ("tests/test_cli_config.py -k handlers",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "hang-up-ignored-without-file",
        "SIGHUP does not end a server without a configuration file",
        "beanstalkd_py/host/signals.py",
        "SIGNALS if reloads else [*SIGNALS, signal.SIGHUP]",
        "SIGNALS",
        ("tests/server/test_reload.py -k as_in_c",),
    ),
)
