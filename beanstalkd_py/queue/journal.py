"""The journal as the queue sees it: called before memory changes, so that a change is on the log
before anybody can see it (invariant "log before state").
"""

from typing import Protocol

from beanstalkd_py.queue.model import Job, Tube

Counters = tuple[int, int, int, int, int]  # reserves, timeouts, releases, buries, kicks


class Journal(Protocol):
    """Records changes. Each method returns False (`put`: None) when there is no headroom for the
    record; then the change must not happen.

    Instants are monotonic ns, durations ns.
    """

    def put(
        self,
        id: int,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        ttr: int,
        body: bytes,
        created_at: int,
        deadline_at: int,
    ) -> object | None:
        """A new job. Returns what becomes the job's `full_segment`."""

    def change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        """A job's new state. `deadline_at` as in `Job`."""

    def delete(self, job: Job) -> bool:
        """The job is gone."""

    def pause(self, tube: Tube, pause: int, until: int) -> bool:
        """A pause of that length, until that instant; both 0: the pause ends."""
