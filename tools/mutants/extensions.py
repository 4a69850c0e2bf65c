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
        Invariant.LOG_BEFORE_STATE,
        "truncate-not-logged",
        "a truncate is not logged",
        "beanstalkd_py/queue/bulk.py",
        "        if queue.journal is not None and not queue.journal.delete(job):\n"
        "            return sweep.end(queue, True)\n",
        "",
        ("tests/queue/test_bulk.py",),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "move-not-logged",
        "a move to another tube is not logged",
        "beanstalkd_py/queue/moved.py",
        "    if state.journal is not None and not state.journal.move(job, name, deadline_at):\n"
        "        return False\n",
        "",
        ("tests/queue/test_bulk.py",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "moved-job-in-its-old-tube",
        "the heap of a tube shows a job that has moved to another tube",
        "beanstalkd_py/queue/moved.py",
        "        while (job := super().first()) is not None and job.tube is not self._tube:\n"
        "            heappop(self.keys)\n        return job\n",
        "        return super().first()\n",
        ("tests/queue/test_bulk.py",),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "moved-job-in-its-old-bucket",
        "a bucket of a tube shows a job that has moved to another tube",
        "beanstalkd_py/queue/moved.py",
        "            self.buckets[job.pri].popleft()\n            self.in_buckets -= 1\n"
        "        return job\n",
        "            return job\n        return job\n",
        ("tests/queue/test_bulk.py",),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "move-not-counted",
        "the longer tube name of a moved job is not counted as live",
        "beanstalkd_py/binlog/tuberecords.py",
        "        usage.name_changes(job, tube)\n",
        "",
        ("tests/binlog/test_move_records.py", "tests/queue/test_bulk.py"),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "truncate-in-one-go",
        "a truncate of many jobs is not divided, so all other clients wait for it",
        "beanstalkd_py/queue/bulk.py",
        "    for _ in range(SLICE_JOBS):\n        job = sweep.next()\n        if job is None:\n"
        "            return sweep.end(queue, False)\n        if queue.journal",
        "    for _ in range(1 << 30):\n        job = sweep.next()\n        if job is None:\n"
        "            return sweep.end(queue, False)\n        if queue.journal",
        ("tests/queue/test_slices.py -k truncate",),
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
