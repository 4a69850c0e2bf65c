"""Fields that several commands have in their JSON, named and built in one place."""

from __future__ import annotations

from beanstalkd_binlog.times import rfc3339
from beanstalkd_py.binlog.records import Full, Update
from beanstalkd_py.queue.model import BURIED, DELAYED, RESERVED, STATE_NAMES, Job

COUNTERS = ("reserves", "timeouts", "releases", "buries", "kicks")

Fields = dict[str, object]


def instant(name: str, at: int) -> Fields:
    return {name: rfc3339(at), f"{name}_ns": at}


def deadline(state: int, deadline_at: int) -> Fields:
    """What `deadline_at` means in this state."""
    if state == DELAYED:
        return instant("ready_at", deadline_at)
    if state == RESERVED:
        return instant("reserved_until", deadline_at)
    return {"bury_order": deadline_at} if state == BURIED else {}


def changing(job: Job | Full | Update) -> Fields:
    """All that can change but the deadline."""
    found: Fields = {"state": STATE_NAMES[job.state], "pri": job.pri, "delay_ns": job.delay}
    found.update((name, getattr(job, name)) for name in COUNTERS)
    return found
