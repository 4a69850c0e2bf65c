"""Mutants of the queue and its log: log before state, a reply is a promise, ids, time,
disk usage.
"""

from __future__ import annotations

from .invariants import Invariant
from .mutant import SIMULATION, Mutant

QUEUE = (
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "delete-before-log",
        "delete changes memory before the log accepts the record",
        "beanstalkd_py/queue/queue.py",
        "        if self.journal is not None and not self.journal.delete(job):\n"
        "            return NO_HEADROOM\n"
        "        tube = job.tube\n        if tube.guarded:\n",
        "        tube = job.tube\n        self.apply_delete(job)\n"
        "        if self.journal is not None and not self.journal.delete(job):\n"
        "            return NO_HEADROOM\n        return DONE\n        if tube.guarded:\n",
        ("tests/queue/test_invariants.py",),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "change-before-log",
        "release, bury and kick change memory even if the log refuses",
        "beanstalkd_py/queue/queue.py",
        "counters\n"
        "        ):\n"
        "            return False\n"
        "        self.apply_change(job, state, pri, delay, deadline_at, counters)\n",
        "counters\n"
        "        ):\n"
        "            self.apply_change(job, state, pri, delay, deadline_at, counters)\n"
        "            return False\n"
        "        self.apply_change(job, state, pri, delay, deadline_at, counters)\n",
        ("tests/queue/test_invariants.py",),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "put-without-log",
        "a put that the log refused creates a job",
        "beanstalkd_py/queue/puts.py",
        "created_at, deadline_at\n            )\n"
        "            if segment is None:\n                return NO_HEADROOM\n",
        "created_at, deadline_at\n            )\n",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "timeout-not-logged",
        "a TTR timeout is not logged",
        "beanstalkd_py/queue/ticks.py",
        "            self.journal.change(job, READY, job.pri, job.delay, 0, counters)\n",
        "            pass\n",
        ("tests/binlog/test_journal.py::test_timeouts_are_counted_across_a_restart", SIMULATION),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "release-forgets-priority",
        "replay ignores the new priority of a released job, like the C server",
        "beanstalkd_py/binlog/replay.py",
        "        self.state.apply_change(job, state, pri, delay",
        "        self.state.apply_change(job, state, job.pri, delay",
        (
            "tests/binlog/test_journal.py::test_release_keeps_priority_after_restart",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "delete-not-replayed",
        "replay ignores deletes",
        "beanstalkd_py/binlog/replay.py",
        "            self._delete(DELETE_STRUCT.unpack(record)[1])\n",
        "            pass\n",
        (
            "tests/binlog/test_journal.py::test_replay_restores_jobs_after_random_commands",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "burying-order-forgotten",
        "replay orders buried jobs by id, not by time",
        "beanstalkd_py/binlog/replay.py",
        "key=lambda job: (job.deadline_at, job.id))",
        "key=lambda job: job.id)",
        (
            "tests/binlog/test_compactor.py::test_buried_jobs_keep_order_through_compaction",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-early",
        "replies are sent before their records are durable",
        "beanstalkd_py/server/outbox.py",
        "        promised = NEVER if self._log is None else self._log.promised_lsn\n",
        "        promised = NEVER\n",
        ("tests/server/test_outbox.py::test_reply_waits_for_its_lsn", SIMULATION),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "written-is-promised",
        "replies are sent after the write, without waiting for the sync",
        "wal/beanstalkd_wal/state.py",
        "        self.promised_lsn = self.durable_lsn if self.promise_durable else "
        "self.written_lsn\n",
        "        self.promised_lsn = self.written_lsn\n",
        ("tests/wal/test_failures.py::test_failed_sync_is_not_repeated",),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "two-commits-at-once",
        "the loop thread commits while the committer thread is committing",
        "wal/beanstalkd_wal/threads.py",
        "        if self._threads and self._batches_sent != self.progress.batches_done:\n"
        "            return False\n",
        "",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "newest-reply-first",
        "pending replies are flushed in the wrong order",
        "beanstalkd_py/server/outbox.py",
        "            _, recipient, data = pending.popleft()\n",
        "            _, recipient, data = pending.pop()\n",
        ("tests/server/test_outbox.py::test_reply_never_overtakes_an_older_one", SIMULATION),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-overtakes-pending",
        "a reply that needs no sync overtakes pending replies",
        "beanstalkd_py/server/outbox.py",
        "        log = self._log\n        self._pending.append(",
        "        log = self._log\n        if log is not None and log.lsn <= log.promised_lsn:\n"
        "            recipient.deliver(data)\n            return\n        self._pending.append(",
        ("tests/server/test_outbox.py::test_reply_added_during_delivery_leaves_last",),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "reply-overtakes-unsent",
        "a reply overtakes bytes that the socket did not accept",
        "beanstalkd_py/server/connection.py",
        "        if self._unsent:\n"
        "            keep(self._unsent, data, self.context.queue.memory)\n"
        "        else:\n            try:\n",
        "        if True:\n            try:\n",
        ("tests/server/test_connection_life.py",),
    ),
    Mutant(
        Invariant.REPLY_IS_A_PROMISE,
        "pending-sent-after-failure",
        "pending replies are sent after the log has failed",
        "beanstalkd_py/server/server.py",
        "        self.context.outbox.discard()\n",
        "        for _, recipient, data in self.context.outbox._pending:\n"
        "            recipient.deliver(data)\n"
        "        self.context.sends.send()\n",
        ("tests/crash_recovery/test_promises.py",),
    ),
    Mutant(
        Invariant.IDS_ARE_NEVER_REUSED,
        "ids-lost-with-the-end",
        "after a repair of the log's end, the ids that it had are assigned again",
        "tools/beanstalkd_binlog/repair.py",
        "SKIPPED_IDS if walk.corrupt and _end_is_lost(planned) else 0\n",
        "0\n",
        ("tests/tools/beanstalkd_binlog/test_repair_command.py",),
    ),
    Mutant(
        Invariant.IDS_ARE_NEVER_REUSED,
        "ids-of-the-other-branch",
        "the ids of a branch that repair sets aside are assigned again",
        "tools/beanstalkd_binlog/repair.py",
        "        next_id = _highest_id_aside(planned) + 1\n",
        "        next_id = 1\n",
        ("tests/tools/beanstalkd_binlog/test_repair_command.py",),
    ),
    Mutant(
        Invariant.IDS_ARE_NEVER_REUSED,
        "id-reused",
        "the next id is the highest remaining id plus one",
        "beanstalkd_py/binlog/opening.py",
        "    return max(bound if at == segment else meta.id_bound, meta.next_id, "
        "found.highest_id + 1)\n",
        "    return found.highest_id + 1\n",
        ("tests/binlog/test_journal.py::test_ids_are_never_reused", SIMULATION),
    ),
    Mutant(
        Invariant.IDS_ARE_NEVER_REUSED,
        "header-without-next-id",
        "segment headers do not store the next id",
        "beanstalkd_py/binlog/ids.py",
        "        return encode_meta(next_id, next_id + self.ahead)\n",
        "        return encode_meta(1)\n",
        ("tests/binlog/test_journal.py::test_ids_are_never_reused", SIMULATION),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "wall-clock-in-memory",
        "connections use the wall clock",
        "beanstalkd_py/server/connection.py",
        "from beanstalkd_py.host.clock import boot_ns\n",
        "from time import time_ns as boot_ns\n",
        (
            "tests/server/test_server_iteration.py::test_delay_ends_for_a_waiting_client_without_traffic",
        ),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "monotonic-on-disk",
        "times are written to disk as boot time",
        "beanstalkd_py/binlog/records.py",
        "    return deadline_at + offset if state in (DELAYED, RESERVED) else deadline_at\n",
        "    return deadline_at\n",
        (
            "tests/binlog/test_journal.py::test_replay_restores_jobs_after_random_commands",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "delay-forgotten",
        "delayed jobs are ready after a restart",
        "beanstalkd_py/binlog/tubereplay.py",
        "            return state, min(deadline_at - self.offset, self.now + delay)\n",
        "            return READY, 0\n",
        (
            "tests/binlog/test_journal.py::test_replay_restores_jobs_after_random_commands",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "delay-begins-again",
        "replay counts a delay from the creation of the job",
        "beanstalkd_py/binlog/replay.py",
        "        if state not in _STATES or not 0 < name_length",
        "        deadline_at = created_at + delay if state == DELAYED else deadline_at\n"
        "        if state not in _STATES or not 0 < name_length",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "compaction-never",
        "compaction never runs while the server is running",
        "beanstalkd_py/binlog/compactor.py",
        "        self.more = self.has_work() and self._step_for(appended)\n",
        "        self.more = False\n",
        ("tests/binlog/test_preallocation.py::test_headroom_falls_with_the_live_bytes", SIMULATION),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "compaction-loses-jobs",
        "compaction does not copy delayed jobs",
        "beanstalkd_py/binlog/compactor.py",
        "        segment = self.headroom.append(record, long_body=long_body)\n",
        "        segment = self.usage.current if job.state == 4 else "
        "self.headroom.append(record)\n",
        (SIMULATION,),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "headers-count-as-dead",
        "compaction expects to give back the headers of segments",
        "beanstalkd_py/binlog/usage.py",
        "        return self.sealed_bytes - len(self.sealed) * SEGMENT_OVERHEAD - self.kept\n",
        "        return self.sealed_bytes - self.kept\n",
        ("tests/binlog/test_compactor.py",),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "nothing-live-at-the-start",
        "after a start, the first bytes to die are compared with zero live bytes",
        "beanstalkd_py/binlog/journal.py",
        "        self._kept = usage.kept\n",
        "        self._kept = 0\n",
        ("tests/binlog/test_compactor.py -k first_delete",),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "old-updates-live",
        "all updates of a job count as live, not only the latest",
        "beanstalkd_py/binlog/usage.py",
        "            self.add(job.update_segment, -UPDATE_BYTES)\n        else:\n",
        "            pass\n        else:\n",
        ("tests/binlog/test_compactor.py::test_disk_stays_in_proportion", SIMULATION),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "deleted-too-early",
        "a segment is deleted before the copies of its jobs are durable",
        "wal/beanstalkd_wal/committer.py",
        "        while self._retirements and self._retirements[0].lsn <= durable:\n",
        "        while self._retirements:\n",
        (
            "tests/wal/test_retire.py::test_retire_waits_until_earlier_records_are_durable",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "deleted-in-any-order",
        "a segment is deleted before the deletion of the previous segment is durable",
        "wal/beanstalkd_wal/preparer.py",
        "            self.directory.sync_names()\n            self.progress",
        "            self.progress",
        (
            "tests/wal/test_retire.py::test_retired_segments_are_deleted_one_by_one_durably",
            SIMULATION,
        ),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "stale-spares",
        "a retired segment becomes a spare without being zeroed",
        "wal/beanstalkd_wal/preparer.py",
        "            self._fill(handle, 0, spare.size)\n            fs.sync(handle)\n",
        "            fs.sync(handle)\n",
        ("tests/wal/test_retire.py::test_retired_segment_becomes_a_spare_if_headroom_is_short",),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "puts-use-the-reserve",
        "puts use the headroom that is reserved for a full disk",
        "beanstalkd_py/binlog/putrecords.py",
        " and not self.headroom_for_put(nbytes):\n"
        "            self.refuse_put(largest)\n"
        "            return None\n",
        " and False:\n            return None\n",
        ("tests/binlog/test_headroom.py",),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "refused-puts-raise-reserve",
        "a refused put raises the reserve",
        "beanstalkd_py/binlog/headroom.py",
        "        self.usage.largest = largest\n        self.update_marks()\n",
        "        pass\n",
        ("tests/binlog/test_headroom.py::test_refused_put_does_not_raise_the_put_reserve",),
    ),
)
