"""Mutants of the commands that the C server does not have."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_LISTING = ("tests/queue/test_listing.py",)
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
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "put-in-tube-leaves-tube",
        "a refused put-in-tube creates its tube",
        "beanstalkd_py/queue/queue.py",
        "        if not tube.jobs:\n            self.remove_if_unused(tube)\n"
        "        return outcome\n",
        "        return outcome\n",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "refused-body-is-executed",
        "the body of a malformed put-in-tube is executed as commands",
        "beanstalkd_py/protocol/parser.py",
        "        self._skip(int(last), command)\n"
        "        return self._continue() or self._need_more()\n",
        "        return command\n",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "batch-exceeds-max",
        "reserve-batch takes one job more than its maximum",
        "beanstalkd_py/protocol/answers.py",
        "        while len(jobs) < most and",
        "        while len(jobs) <= most and",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "batch-without-limit-of-bytes",
        "a batch does not end with its bodies",
        "beanstalkd_py/protocol/answers.py",
        " and nbytes < BATCH_BYTES:",
        ":",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "batch-is-never-over",
        "a reserve after a reserve-batch gets a batch too",
        "beanstalkd_py/protocol/answers.py",
        "        client.batch = 0\n",
        "",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "batch-keeps-jobs-without-reply",
        "a client holds jobs of a batch although there was no memory to tell it",
        "beanstalkd_py/protocol/answers.py",
        "        for job in jobs:\n            self.queue.give_back(job, now)\n",
        "",
        ("tests/queue/test_out_of_memory.py -k gives_all_jobs_back",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "drain-off-ignored",
        "drain off does not end the drain mode",
        "beanstalkd_py/protocol/extensions.py",
        'self._queue.draining = command[1] == b"on"',
        "self._queue.draining = True",
        _EXTENSIONS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "list-ends-at-last-id",
        "list-jobs does not go on with lower ids than that of its cursor",
        "beanstalkd_py/queue/listing.py",
        "        self._blocks = blocks[place:] + blocks[:place]\n",
        "        self._blocks = blocks[place:]\n",
        _LISTING,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "list-repeats-cursor",
        "a page of list-jobs begins with the job of its cursor",
        "beanstalkd_py/queue/listing.py",
        "            if key > after:\n",
        "            if key >= after:\n",
        _LISTING,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "list-shows-changed-jobs",
        "list-jobs shows jobs that have left the state meanwhile",
        "beanstalkd_py/queue/listing.py",
        "            if job is not None and self._is_wanted(job) and self._key(job) == key\n",
        "            if job is not None\n",
        _LISTING,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "list-in-one-slice",
        "list-jobs looks at all jobs before another client is served",
        "beanstalkd_py/queue/listing.py",
        "        end = min(self._next + SLICE_BLOCKS, len(self._blocks))\n",
        "        end = len(self._blocks)\n",
        _LISTING,
    ),
)
