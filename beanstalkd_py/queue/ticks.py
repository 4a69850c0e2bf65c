"""What time does: the end of delays, pauses, TTRs and waits. `now` is boot time, ns."""

from typing import Final

from beanstalkd_py.queue.model import MARGIN, NEVER, READY, Client, Job, Tube
from beanstalkd_py.queue.outcome import DEADLINE_SOON, TIMED_OUT
from beanstalkd_py.queue.state import SLICE_JOBS, State

YIELD_NS: Final = 1_000_000  # until the next slice of a tick; other clients are served meanwhile


class Ticks(State):
    """The timers of tubes and clients. Those of jobs are timers of their tube or client."""

    @property
    def next_at(self) -> int:
        """When the next `tick` is due (boot time, ns); NEVER without a timer."""
        return self.timers[0][0] if self.timers else NEVER

    def tick(self, now: int) -> None:
        """Handles what is due: expiries, ends of delays, ends of pauses, then clients' timers."""
        owners = self._timers.due(now)
        tubes = [owner for owner in owners if isinstance(owner, Tube)]
        clients = [owner for owner in owners if isinstance(owner, Client)]
        for tube in tubes:
            if tube.guarded:
                self.expire(tube, now)
        for tube in tubes:
            self._delayed_to_ready(tube, now)
        for tube in tubes:
            self._end_pause(tube, now)
        for client in clients:
            self._client_timer(client, now)

    def _plan_tube(self, tube: Tube) -> None:
        job = tube.delayed.first()
        if job is not None:
            self._plan(tube, job.deadline_at)
        if tube.paused_until:
            self._plan(tube, tube.paused_until)

    def _plan_client(self, client: Client) -> None:
        soonest = client.soonest_deadline()
        if client.waiting:
            soonest = min(soonest - MARGIN, client.wait_until)
        if soonest < NEVER - MARGIN:
            self._plan(client, soonest)

    def _delayed_to_ready(self, tube: Tube, now: int) -> None:
        left = SLICE_JOBS
        while left and (job := tube.delayed.first()) is not None and job.deadline_at <= now:
            self._to_ready(job, now)
            left -= 1
        if left:
            self._plan_tube(tube)
        else:
            self._plan(tube, now + YIELD_NS)

    def _end_pause(self, tube: Tube, now: int) -> None:
        if not tube.paused_until or tube.paused_until > now:
            return
        tube.paused_until = 0
        tube.pause = 0
        tube.update_guard()
        if tube is not self.default:
            tube.kept = False
        self.offer(tube, now)
        self.remove_if_unused(tube)

    def _client_timer(self, client: Client, now: int) -> None:
        if client.waiting and client.soonest_deadline() - MARGIN <= now:
            self._stop_waiting(client)
            self.woken.append((client, DEADLINE_SOON))
        left = SLICE_JOBS
        while left and (job := client.deadlines.first()) is not None and job.deadline_at <= now:
            self.time_out(job, now)
            left -= 1
        if client.waiting and client.wait_until <= now:
            self._stop_waiting(client)
            self.woken.append((client, TIMED_OUT))
        if left:
            self._plan_client(client)
        else:
            self._plan(client, now + YIELD_NS)

    def time_out(self, job: Job, now: int) -> None:
        """The TTR has ended. No client waits for a reply, so this is made without headroom too."""
        self.timeouts += 1
        _, timeouts, releases, buries, kicks = job.history
        counters = (job.reserves, timeouts + 1, releases, buries, kicks)
        if self.journal is not None:
            self.journal.change(job, READY, job.pri, job.delay, 0, counters)
        self.apply_change(job, READY, job.pri, job.delay, 0, counters)
        self.offer(job.tube, now)
