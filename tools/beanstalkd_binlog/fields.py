"""Fields that several commands have in their JSON. Promises: one name and one form for each."""

from __future__ import annotations

from collections.abc import Iterator

from beanstalkd_binlog.times import local, rfc3339
from beanstalkd_py.binlog.records import Full, Move, Update
from beanstalkd_py.queue.attributes import REASONS, Attributes
from beanstalkd_py.queue.model import BURIED, DELAYED, RESERVED, STATE_NAMES, Job
from beanstalkd_py.queue.policy import Policy

COUNTERS = ("reserves", "timeouts", "releases", "buries", "kicks")

Fields = dict[str, object]


def instant(name: str, at: int | None) -> Fields:
    """The same instant twice: RFC 3339, and nanoseconds. None: there is no such instant."""
    return {name: None if at is None else rfc3339(at), f"{name}_ns": at}


def deadline(state: int, deadline_at: int) -> Fields:
    """`deadline_at` under the name that fits the state."""
    if state == DELAYED:
        return instant("ready_at", deadline_at)
    if state == RESERVED:
        return instant("reserved_until", deadline_at)
    return {"bury_order": deadline_at} if state == BURIED else {}


def mutable(job: Job | Full | Update | Move) -> Fields:
    """Every field that a record can change, except the deadline."""
    found: Fields = {"state": STATE_NAMES[job.state], "pri": job.pri, "delay_ns": job.delay}
    found.update((name, getattr(job, name)) for name in COUNTERS)
    return found


def of_attributes(attributes: Attributes) -> Fields:
    """Those that the job has."""
    found: Fields = {}
    if attributes.key:
        found["key"] = bytes_as_text(attributes.key)
        found["key_until_reserve"] = attributes.until_reserve
    if attributes.expires_at:
        found.update(instant("expires_at", attributes.expires_at))
    if attributes.attempts:
        found["max_attempts"] = attributes.attempts
    if attributes.reason:
        found["origin"] = bytes_as_text(attributes.origin)
        found["reason"] = REASONS[attributes.reason]
    return found


def said_of(attributes: Attributes) -> Iterator[str]:
    """The same, for a table."""
    if attributes.key:
        until = " until reserved" if attributes.until_reserve else ""
        yield f"key {bytes_as_text(attributes.key)}{until}"
    if attributes.expires_at:
        yield f"expires {local(attributes.expires_at)}"
    if attributes.attempts:
        yield f"max-attempts {attributes.attempts}"
    if attributes.reason:
        yield f"{REASONS[attributes.reason]} in {bytes_as_text(attributes.origin)}"


def policy_text(policy: Policy) -> Iterator[str]:
    yield f"max-attempts {policy.max_attempts}"
    yield f"dead-tube {bytes_as_text(policy.dead_tube) or 'none'}"
    for name in ("max_jobs", "max_bytes", "max_reserved", "expire"):
        if getattr(policy, name):
            yield f"{name.replace('_', '-')} {getattr(policy, name)}"


def bytes_as_text(data: bytes) -> str:
    """UTF-8; bytes that are not UTF-8 are escaped."""
    return data.decode("utf-8", "backslashreplace")
