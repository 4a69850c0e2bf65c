"""The seam between the queue and the log. The queue calls its journal before it changes memory
(invariant "log before state").
"""

from typing import Protocol

from beanstalkd_py.queue.attributes import Attributes
from beanstalkd_py.queue.model import Job, Tube
from beanstalkd_py.queue.policy import Policy

Counters = tuple[int, int, int, int, int]  # reserves, timeouts, releases, buries, kicks


class Journal(Protocol):
    """Records changes. If there is no headroom for the record, a method returns False (`put`:
    None), and the queue must not make the change.

    Instants are boot time, ns, durations ns.
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

    def put_with(
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
        attributes: Attributes,
    ) -> object | None:
        """The same, of a job with attributes."""

    def change(
        self, job: Job, state: int, pri: int, delay: int, deadline_at: int, counters: Counters
    ) -> bool:
        """A job's new state. `deadline_at` as in `Job`."""

    def move(
        self,
        job: Job,
        tube: bytes,
        state: int,
        pri: int,
        delay: int,
        deadline_at: int,
        counters: Counters,
        attributes: Attributes | None,
    ) -> bool:
        """The job moves to the tube of this name. The other arguments as in `change`. attributes:
        those from now on; None: it had none and has none.
        """

    def policy(self, tube: bytes, policy: Policy) -> bool:
        """The policy of the tube of this name."""

    def run(self, schedule: bytes, at: int) -> bool:
        """The latest run of the schedule of this name (Unix time, s); 0: it is gone."""

    def delete(self, job: Job) -> bool:
        """The job is deleted."""

    def take_back(self, job: Job) -> bool:
        """The latest put has a record but no job. job: its id, tube, body and `full_segment`."""

    def pause(self, tube: Tube, pause: int, until: int) -> bool:
        """A pause of `pause` ns, until the instant `until`. If both are 0, the pause ends."""
