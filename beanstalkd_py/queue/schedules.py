"""The latest run of each schedule, which the server puts by itself (`server.schedules`).

A run is a put, and then a record of the run. Later records of the job come after both. So a log in
which the job is deleted also has the run.
"""

from typing import Final

from beanstalkd_py.queue.model import Client
from beanstalkd_py.queue.outcome import NO_HEADROOM, Outcome
from beanstalkd_py.queue.puts import Exists, Wishes
from beanstalkd_py.queue.queue import Queue
from beanstalkd_py.queue.runs import apply_run

SECOND: Final = 1_000_000_000


def record_run(queue: Queue, name: bytes, at: int) -> bool:
    """Journal, then memory. False when there is no headroom."""
    if queue.journal is not None and not queue.journal.run(name, at):
        return False
    apply_run(queue, name, at)
    return True


class Putter:
    """Puts the runs. It is no client, so no figure counts it."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._client = Client(queue.default, 0)
        self._client.producer = True  # is not counted as one

    def run(
        self, now: int, name: bytes, at: int, tube: bytes, pri: int, ttr: int, body: bytes
    ) -> Outcome | None:
        """Puts the run of this instant, unless its job is there already. Returns why it was
        refused. now: boot time, ns. ttr: seconds.
        """
        wishes = Wishes(key=b"schedule:%b:%d" % (name, at))
        queue = self._queue
        outcome = queue.put_with(self._client, tube, now, pri, 0, ttr * SECOND, body, wishes)
        if not isinstance(outcome, int | Exists):
            return outcome
        return None if record_run(queue, name, at) else NO_HEADROOM
