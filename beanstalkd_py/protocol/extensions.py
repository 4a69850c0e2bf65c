"""Commands that the C server does not have. docs/protocol.md describes them for clients.

Their methods are those of `Dispatcher`: `(client, now, command) -> reply`. A client learns of them
by `capabilities`. From then on its replies to `stats` have more keys, behind those of the C server.
"""

from collections.abc import Callable
from typing import Final

from beanstalkd_py.protocol import replies, yaml
from beanstalkd_py.protocol.answers import REPLIES, Answers, counted, in_slices
from beanstalkd_py.protocol.commands import EXTENSIONS, SECOND, U32, U64, Command
from beanstalkd_py.queue import bulk, snapshot
from beanstalkd_py.queue.listing import FEW_JOBS, Listing
from beanstalkd_py.queue.model import BURIED, DELAYED, READY, STATE_NAMES, Client
from beanstalkd_py.queue.oldest import Oldest
from beanstalkd_py.queue.outcome import DONE, WAITING
from beanstalkd_py.queue.policy import NO_POLICY, Policy
from beanstalkd_py.queue.puts import Exists, Wishes
from beanstalkd_py.queue.snapshot import ProcessSnapshot
from beanstalkd_py.queue.tubebytes import TubeBytes

_STATES: Final = {name.encode(): state for state, name in STATE_NAMES.items()}
PAGE_JOBS: Final = 100  # of list-jobs, without a limit
SLICE_LISTED: Final = 100  # jobs of a list that are rendered in one slice, in at most 1 ms

# Of stats-tube-all, in entries of ready jobs that are looked at: a slice takes 1 to 2 ms.
TUBE_COST: Final = 20  # to render a tube
SLICE_COST: Final = 2000


class Extensions:
    """process: returns figures of the process, such as its version."""

    def __init__(self, answers: Answers, process: Callable[[], ProcessSnapshot]) -> None:
        self._answers = answers
        self._queue = answers.queue
        self._process = process

    def capabilities(self, client: Client, now: int, command: Command) -> bytes:
        client.has_capabilities = True
        return yaml.capabilities(self._process(), [row.name for row in EXTENSIONS])

    def ping(self, client: Client, now: int, command: Command) -> bytes:
        return replies.PONG

    def peek_tube(self, client: Client, now: int, command: Command) -> bytes | None:
        _, name, state = command
        tube = self._queue.tubes.get(name)
        if tube is None:
            return replies.NOT_FOUND
        if state == b"ready":
            return self._answers.found(self._queue.peek_ready(tube))
        if state == b"delayed":
            return self._answers.found(self._queue.peek_delayed(tube))
        return self._answers.found(self._queue.peek_buried(tube))

    def kick_tube(self, client: Client, now: int, command: Command) -> bytes | None:
        _, name, bound = command
        tube = self._queue.tubes.get(name)
        if tube is None:
            return replies.NOT_FOUND
        return self._answers.kick_in_slices(client, now, tube, bound)

    def put_in_tube(self, client: Client, now: int, command: Command) -> bytes:
        _, name, pri, delay, ttr, body = command
        outcome = self._queue.put_in(client, name, now, pri, delay, ttr or SECOND, body)
        return b"INSERTED %d\r\n" % outcome if isinstance(outcome, int) else REPLIES[outcome]

    def put_with(self, client: Client, now: int, command: Command) -> bytes:
        _, pri, delay, ttr, settings, body = command
        name = settings.get(b"tube", client.used.name)
        if b"at" in settings:
            left = settings[b"at"] * SECOND - self._answers.clock_offset() - now
            delay = min(max(left, 0), U32 * SECOND)
        wishes = Wishes(
            settings.get(b"key", b""),
            b"until" in settings,
            settings.get(b"expire", -1),
            settings.get(b"attempts", 0),
        )
        outcome = self._queue.put_with(client, name, now, pri, delay, ttr or SECOND, body, wishes)
        if isinstance(outcome, Exists):
            return replies.EXISTS % outcome.id
        return b"INSERTED %d\r\n" % outcome if isinstance(outcome, int) else REPLIES[outcome]

    def reserve_batch(self, client: Client, now: int, command: Command) -> bytes | None:
        _, client.batch, timeout = command
        outcome = self._queue.reserve(client, now, now + timeout)
        return None if outcome is WAITING else self._answers.reserved(client, now, outcome)

    def drain(self, client: Client, now: int, command: Command) -> bytes:
        """On: puts are refused, as after SIGUSR1."""
        if command[1] != b"status":
            self._queue.draining = command[1] == b"on"
        return replies.DRAIN_ON if self._queue.draining else replies.DRAIN_OFF

    def list_jobs(self, client: Client, now: int, command: Command) -> bytes | None:
        _, name, state, limit, after = command
        tube = self._queue.tubes.get(name)
        if tube is None:
            return replies.NOT_FOUND
        listing = Listing(
            self._queue, tube, _STATES[state], limit or PAGE_JOBS, -1 if after is None else after
        )
        found: list[bytes] = []

        def go_on(now: int) -> bytes | None:
            if not listing.search():
                return None
            for key, job in listing.take(SLICE_LISTED):
                shown = self._answers.more_of_job(job, now)
                found.append(yaml.listed(key, snapshot.of_job(job, now), len(job.body), shown))
            if not listing.is_taken or (not found and listing.search_on()):
                return None
            return self._answers.report(lambda: yaml.listing(found))

        return in_slices(client, now, go_on)

    def set_tube(self, client: Client, now: int, command: Command) -> bytes | None:
        """Settings that the command does not name stay."""
        _, name, settings = command
        old = self._queue.policies.get(name) or NO_POLICY
        assert isinstance(old, Policy)
        fields = old._asdict()
        fields.update({key.decode().replace("-", "_"): value for key, value in settings.items()})
        outcome = self._queue.set_policy(name, Policy(**fields))
        tube = self._queue.tubes.get(name)
        if outcome is not DONE:
            return REPLIES[outcome]
        if tube is None:
            return replies.TUBE_SET
        self._queue.offer(tube, now)
        counted = tube.counted
        if not isinstance(counted, TubeBytes):
            return replies.TUBE_SET
        return in_slices(client, now, lambda now: replies.TUBE_SET if counted.count() else None)

    def list_connections(self, client: Client, now: int, command: Command) -> bytes | None:
        connected = list(reversed(self._answers.clients.values()))
        items: list[bytes] = []

        def go_on(now: int) -> bytes | None:
            for _ in range(min(SLICE_LISTED, len(connected))):
                items.append(self._connection(connected.pop(), now))
            return None if connected else self._answers.report(lambda: yaml.listing(items))

        return in_slices(client, now, go_on)

    def _connection(self, client: Client, now: int) -> bytes:
        """An item of a list; empty if the connection is closed."""
        if client.id not in self._answers.clients:
            return b""
        return yaml.item(self._connection_lines(client, now))

    def _connection_lines(self, client: Client, now: int) -> list[tuple[str, object]]:
        peer = self._answers.peer(client.session, now)
        return yaml.connection(snapshot.of_connection(client, now), peer)

    def stats_conn(self, client: Client, now: int, command: Command) -> bytes:
        shown = client if command[1] is None else self._answers.clients.get(command[1])
        if shown is None:
            return replies.NOT_FOUND
        lines = self._connection_lines(shown, now)
        tubes = [tube.name for tube in shown.watched]
        return self._answers.report(lambda: yaml.stats_conn(lines, tubes))

    def stats_tube_all(self, client: Client, now: int, command: Command) -> bytes | None:
        searches: list[Oldest] = []  # of the last tube
        tubes = list(reversed(self._queue.tube_list))
        items: list[bytes] = []

        def go_on(now: int) -> bytes | None:
            cost = 0
            while tubes and cost < SLICE_COST:
                tube = tubes[-1]
                if self._queue.tubes.get(tube.name) is tube:
                    if not searches:
                        searches.append(Oldest(self._queue, tube))
                    if not searches[0].search():
                        return None
                    lines = yaml.tube_lines(snapshot.of_tube(tube, now))
                    more = yaml.more_of_tube(tube, searches[0].job, now)
                    items.append(yaml.item([*lines, *more]))
                    searches.clear()
                tubes.pop()
                cost += TUBE_COST + min(len(tube.ready), FEW_JOBS)
            return None if tubes else self._answers.report(lambda: yaml.listing(items))

        return in_slices(client, now, go_on)

    # --- many jobs

    def truncate(self, client: Client, now: int, command: Command) -> bytes | None:
        states = tuple(_STATES[word] for word in command[2:] if word) or (READY, DELAYED, BURIED)
        sweep = self._sweep(command[1], states)
        if sweep is None:
            return replies.NOT_FOUND
        queue = self._queue
        return in_slices(
            client, now, lambda now: counted(replies.TRUNCATED, bulk.truncate(queue, sweep))
        )

    def move_jobs(self, client: Client, now: int, command: Command) -> bytes | None:
        _, name, state, to, bound = command
        sweep = self._sweep(name, (_STATES[state],), bound)
        if sweep is None:
            return replies.NOT_FOUND
        queue = self._queue
        return in_slices(
            client,
            now,
            lambda now: counted(replies.MOVED_COUNT, bulk.move_jobs(queue, sweep, to, now)),
        )

    def move_job(self, client: Client, now: int, command: Command) -> bytes:
        _, id, name = command
        outcome = bulk.move_job(self._queue, now, id, name)
        return replies.MOVED if outcome is DONE else REPLIES[outcome]

    def _sweep(self, name: bytes, states: tuple[int, ...], bound: int = U64) -> bulk.Sweep | None:
        tube = self._queue.tubes.get(name)
        return None if tube is None else bulk.Sweep(tube, states, bound)
