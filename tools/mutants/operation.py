"""Mutants of what an operator sees (statuses, lines, the time of a stop), and of what clients and
other servers' files need.
"""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

OPERATION = (
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "stop-waits-for-preparation",
        "a stop waits for preallocation and for deletions",
        "wal/beanstalkd_wal/threads.py",
        "        self.preparer.abandoned = bool(self._threads)\n",
        "",
        (
            "tests/wal/test_threads.py::test_close_abandons_preallocation",
            "tests/wal/test_threads.py::test_close_abandons_deletions",
        ),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "slow-sync-in-silence",
        "a sync that hangs is not reported while it hangs",
        "beanstalkd_py/server/diskwatch.py",
        "                self._add_slow(thread, call, now)\n",
        "                pass\n",
        ("tests/server/test_diskwatch.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "slow-syncs-without-bound",
        "each slow call to the disk is reported",
        "beanstalkd_py/server/diskwatch.py",
        "QUIET_NS = 60 * SECOND_NS",
        "QUIET_NS = 0 * SECOND_NS",
        ("tests/server/test_diskwatch.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "slow-sync-line-holds-replies",
        "replies wait until the operator's terminal has taken the line about a slow sync",
        "beanstalkd_py/server/diskwatch.py",
        "        for line in lines:\n            self._report(line)\n",
        "        with self._lock:\n"
        "            for line in lines:\n                self._report(line)\n",
        ("tests/server/test_diskwatch.py -k operator_who_reads",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "directory-sync-unwatched",
        "a slow sync of a directory is not noticed",
        "beanstalkd_py/server/diskwatch.py",
        "    def sync_directory(self, handle: int) -> bool:\n",
        "    def unwatched(self, handle: int) -> None:\n",
        ("tests/server/test_diskwatch.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "refused-thread-is-a-bug",
        "a thread that the system refuses ends the server with a traceback",
        "wal/beanstalkd_wal/threads.py",
        "        raise NoThread(_limits()) from error\n",
        "        raise\n",
        ("tests/wal/test_thread_shortages.py::test_refused_thread_is_an_error_of_its_own",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "signal-replaces-status",
        "a signal while a start is refused replaces the exit status",
        "beanstalkd_py/cli.py",
        "    finally:\n        signals.ignore()\n",
        "    finally:\n        pass\n",
        ("tests/test_cli_signals.py::test_signal_while_a_start_is_refused_keeps_the_status",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "signals-before-handlers",
        "a signal before the server has handlers kills it",
        "beanstalkd_py/__main__.py",
        "    signals.block()\n",
        "",
        ("tests/test_cli_signals.py -k before_the_server_has_handlers",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "own-version-in-stats",
        "stats shows this server's version after that of the C server",
        "beanstalkd_py/__init__.py",
        'C_VERSION = "1.13"\n',
        'C_VERSION = "1.13+py" + __version__\n',
        ("tests/server/test_stats_values.py",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "layout-of-x86-unknown",
        "binlogs of a C server on 32-bit x86 are read in the layout of x86-64",
        "beanstalkd_py/foreign/cbinlog/format.py",
        "LAYOUTS = {7: (V7, V7_X86), 5: (V5, V5_X86)}",
        "LAYOUTS = {7: (V7, V7), 5: (V5, V5)}",
        ("tests/foreign/cbinlog/test_c_machines.py", "tests/foreign/cbinlog/test_c_samples.py"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "socket-stays-roots",
        "with -u, the file of the unix socket stays root's",
        "beanstalkd_py/server/listen.py",
        "        uid, gid = user.pw_uid, user.pw_gid\n",
        "        uid, gid = -1, -1\n",
        ("tests/server/test_socket_file.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "incomplete-source-distribution",
        "a release is made although its source distribution lacks files",
        "tools/release/wheels.py",
        "    if missing:\n",
        "    if False:\n",
        ("tests/tools/release/test_release.py -k stops",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "notes-of-another-version",
        "a release is made with the notes of another version",
        "tools/release/notes.py",
        '    if name not in (version, "Unreleased"):\n',
        "    if not name:\n",
        ("tests/tools/release/test_release.py -k stops",),
    ),
)
