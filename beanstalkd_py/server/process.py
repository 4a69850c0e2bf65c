"""The figures of this process in `stats`."""

import os
from collections.abc import Callable

from beanstalkd_py import C_VERSION
from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.host.process import cpu_seconds, facts
from beanstalkd_py.queue.snapshot import ProcessSnapshot


def process_snapshots() -> Callable[[], ProcessSnapshot]:
    """Returns a function that makes a snapshot of this process, which starts now."""
    it = facts()
    started_at = boot_ns()
    id = os.urandom(8).hex()

    def snapshot() -> ProcessSnapshot:
        user_s, system_s = cpu_seconds()
        return ProcessSnapshot(
            pid=it.pid,
            version=C_VERSION,
            id=id,
            hostname=it.hostname,
            os=it.os,
            platform=it.platform,
            started_at=started_at,
            user_cpu_s=user_s,
            system_cpu_s=system_s,
        )

    return snapshot
