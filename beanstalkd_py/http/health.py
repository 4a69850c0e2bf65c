"""What /healthz and /readyz tell. A load balancer and a supervisor ask them every few seconds."""

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.queue.memory import JOB_BYTES
from beanstalkd_py.queue.state import State

REPLAYING = "replaying the log"
STOPPING = "stopping"


class Health:
    """phase: why the server does not serve; empty while it does. log: None without a log."""

    def __init__(self, state: State) -> None:
        self.phase = REPLAYING
        self.log: Binlog | None = None
        self._state = state

    @property
    def reason(self) -> str:
        """Why producers should put elsewhere; empty if the server is ready."""
        memory = self._state.memory
        if self.phase:
            return self.phase
        if self._state.draining:
            return "draining"
        if self.log is not None and not self.log.headroom.accepts_puts:
            return "full: the disk has no space for puts"
        if memory.short:
            return "full: the system gives no memory for puts"
        if not memory.fits(JOB_BYTES):
            return "full: the jobs take the memory of --max-memory"
        return ""
