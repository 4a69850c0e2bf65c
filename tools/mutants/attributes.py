"""Mutants of attributes of jobs: unique keys, expiry, attempts of a job, dead letters."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_KEYS = ("tests/queue/test_unique_keys.py",)
_EXPIRY = ("tests/queue/test_expiry.py",)
_RECORDS = ("tests/binlog/test_attribute_records.py",)
_WIRE = ("tests/wire/test_engine.py -k put_with",)

ATTRIBUTES = (
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "key-not-unique",
        "two jobs of a tube have the same unique key",
        "beanstalkd_py/queue/puts.py",
        "        existing = id_of_key(tube, wishes.key)\n",
        "        existing = 0\n",
        _KEYS,
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "key-forgotten-at-replay",
        "replay forgets the unique keys",
        "beanstalkd_py/binlog/replay.py",
        "            if attributes is not None:\n"
        "                queue.set_attributes(job, attributes)\n        else:\n",
        "        else:\n",
        _KEYS,
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "end-of-key-not-logged",
        "the first reserve ends a key without a record",
        "beanstalkd_py/queue/rules.py",
        "        if self.journal is None or self.journal.change(\n"
        "            job, RESERVED, job.pri, job.delay, now + job.ttr, counters\n        ):\n",
        "        if True:\n",
        _KEYS,
    ),
    Mutant(
        Invariant.LOG_BEFORE_STATE,
        "end-of-key-not-replayed",
        "replay does not end the key of a job that was reserved",
        "beanstalkd_py/queue/rules.py",
        "        if job.history[0]:\n            self.drop_key(job)\n",
        "",
        _KEYS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "dead-letter-keeps-key",
        "a dead letter keeps its unique key and its expiry",
        "beanstalkd_py/queue/rules.py",
        "        dead = Attributes(origin=job.tube.name, reason=reason)\n",
        "        has = self.attributes.get(job.id) or Attributes()\n"
        "        dead = has._replace(origin=job.tube.name, reason=reason)\n",
        (*_EXPIRY, *_WIRE),
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "deleted-job-keeps-key",
        "the key of a deleted job stays taken",
        "beanstalkd_py/queue/state.py",
        "        if job.tube.guarded:\n            self.set_attributes(job, None)\n"
        "        self.apply_delete(job)\n",
        "        self.apply_delete(job)\n",
        _KEYS,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "expired-job-is-handed-out",
        "a reserve gets an expired job, if there are many or the timer is late",
        "beanstalkd_py/queue/rules.py",
        "        return None if job is None or self._is_expired(job, now) else job\n",
        "        return job\n",
        _EXPIRY,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "late-timer-hands-out-expired-job",
        "a reserve does not look whether jobs have expired",
        "beanstalkd_py/queue/rules.py",
        "            return tube.ready.first()\n        self.expire(tube, now)\n",
        "            return tube.ready.first()\n",
        _EXPIRY,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "reserved-job-expires",
        "a job expires in the hands of its client",
        "beanstalkd_py/queue/attributes.py",
        " or job.state not in (READY, DELAYED)",
        "",
        _WIRE,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "expired-jobs-in-one-go",
        "many jobs that expire at once are not divided, so all other clients wait",
        "beanstalkd_py/queue/rules.py",
        "        left = SLICE_JOBS\n",
        "        left = 1 << 30\n",
        _EXPIRY,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "expired-job-is-no-dead-letter",
        "an expired job is deleted although its tube has a dead tube",
        "beanstalkd_py/queue/rules.py",
        "        if self.dead_tube(tube):\n            done",
        "        if not tube:\n            done",
        (*_EXPIRY, *_WIRE),
    ),
    Mutant(
        Invariant.BOOT_TIME_IN_MEMORY,
        "expiry-on-disk-in-boot-time",
        "the record of a job has its expiry in boot time",
        "beanstalkd_py/binlog/withrecords.py",
        "expires_at=attributes.expires_at + offset or 1",
        "expires_at=attributes.expires_at",
        _EXPIRY,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "attempts-of-job-ignored",
        "the limit of attempts of a job itself is ignored",
        "beanstalkd_py/queue/attempts.py",
        "        if attributes is not None and attributes.attempts:\n",
        "        if attributes is None:\n            return 0\n        if attributes.reason:\n",
        _WIRE,
    ),
    Mutant(
        Invariant.C_PROTOCOL_FIRST,
        "attributes-for-all",
        "stats-job has more keys for a client that has not said capabilities",
        "beanstalkd_py/protocol/dispatch.py",
        "self.more_of_job(job, now) if client.has_capabilities else []",
        "self.more_of_job(job, now)",
        _WIRE,
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "compaction-loses-attributes",
        "compaction writes a job without its attributes",
        "beanstalkd_py/binlog/compactor.py",
        "        attributes = self.state.attributes.get(job.id)\n",
        "        attributes = None\n",
        (*_KEYS, *_RECORDS),
    ),
    Mutant(
        Invariant.DISK_IN_PROPORTION,
        "dead-letter-takes-reserve",
        "on a full disk a dead letter grows by its attributes without space for them",
        "beanstalkd_py/binlog/tuberecords.py",
        "            growth += WITH_OVERHEAD + names_length(attributes) - place.overhead\n",
        "            pass\n",
        _RECORDS,
    ),
)
