"""The policy of a tube: rules for its jobs that a client has set by `set-tube`. A policy belongs to
the name: it stays when the tube has no jobs and no clients.
"""

from typing import Final, NamedTuple


class Policy(NamedTuple):
    """max_attempts: how often a job is delivered at most; 0: any number. dead_tube: where a job
    goes whose attempts are used up; b"": it is buried.
    """

    max_attempts: int = 0
    dead_tube: bytes = b""


NO_POLICY: Final = Policy()
