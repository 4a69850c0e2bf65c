"""The policy of a tube: rules for its jobs that a client has set by `set-tube`. A policy belongs to
the name: it stays when the tube has no jobs and no clients.
"""

from typing import Final, NamedTuple


class Policy(NamedTuple):
    """max_attempts: how often a job is delivered at most. dead_tube: where a job goes whose
    attempts are used up; b"": it is buried. max_jobs, max_bytes (of all bodies): a put above it is
    refused. max_reserved: with so many reserved jobs, the others wait. expire: seconds after which
    a job expires if its put does not say it. 0: no limit.
    """

    max_attempts: int = 0
    dead_tube: bytes = b""
    max_jobs: int = 0
    max_bytes: int = 0
    max_reserved: int = 0
    expire: int = 0


NO_POLICY: Final = Policy()
