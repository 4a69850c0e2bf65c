"""The source of the server in the same process.

Jobs and tubes are read directly, in slices. What was read is shown only after the reply to a
`ping`: the server sends it when all records that were appended before are as durable as the mode
promises.
"""

import socket
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import gevent.socket
from gevent.lock import BoundedSemaphore

from beanstalkd_py.host.clock import boot_ns
from beanstalkd_py.http.api import figures, history
from beanstalkd_py.http.api.check import invalid
from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.link import TOGETHER, Link
from beanstalkd_py.http.api.search import Search
from beanstalkd_py.http.api.source import (
    FEATURES,
    About,
    Figures,
    Filter,
    ListedJob,
    Page,
)
from beanstalkd_py.http.api.turns import Turns
from beanstalkd_py.http.health import Health
from beanstalkd_py.http.oldest_ready import OldestReady
from beanstalkd_py.protocol import yaml
from beanstalkd_py.protocol.commands import EXTENSIONS
from beanstalkd_py.queue import snapshot
from beanstalkd_py.queue.attributes import NO_ATTRIBUTES
from beanstalkd_py.queue.listing import Listing
from beanstalkd_py.queue.model import NEVER, STATE_NAMES, Job, Tube
from beanstalkd_py.queue.oldest import Oldest
from beanstalkd_py.server.admission import INSIDE
from beanstalkd_py.server.server import Server

LINKS = 16  # connections at once; each takes two descriptors
WAIT_S = 10.0  # for one of them
MOST_TUBES = 10_000
SEARCH_NS = 2_000_000_000  # of one page; then the page is shorter than it may be
PIECE_BYTES = 64 << 10  # of a body that is sent
_STATES = {name: state for state, name in STATE_NAMES.items()}
_AFTER = 1 << 64
_NS = 1_000_000_000


class Local:
    """directory: of the log; None without one."""

    def __init__(self, server: Server, health: Health, turns: Turns, directory: str | None) -> None:
        self.turns = turns
        self._server = server
        self._health = health
        self._directory = directory
        self._queue = server.queue
        self._links = BoundedSemaphore(LINKS)
        self._kept: _InsideLink | None = None
        self._oldest = OldestReady(server.queue)
        self._searches = False

    def connect(self) -> Link:
        self._check_ready()
        if not self._links.acquire(timeout=WAIT_S):
            raise ApiError(503, "busy", "Too many requests wait for the server.")
        kept, self._kept = self._kept, None
        if kept is not None:
            return kept
        try:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            self._server.admit(theirs, INSIDE)
            self._server.register_admitted()
        except OSError as error:
            self._links.release()
            raise ApiError(503, "no_connection", f"No connection: {error.strerror}.") from error
        return _InsideLink(gevent.socket.socket(fileno=ours.detach()), self._give_back)

    def _give_back(self, link: "_InsideLink") -> bool:
        """Returns whether the link is kept for the next request."""
        self._links.release()
        if self._kept is not None or not link.is_clean:
            return False
        self._kept = link
        return True

    def _check_ready(self) -> None:
        if self._health.phase:
            raise ApiError(503, "not_ready", f"The server is not ready: {self._health.phase}.")

    def _wait_until_durable(self) -> None:
        """Until everything that was read so far is as durable as the mode promises."""
        with self.connect() as link:
            link.one(b"ping\r\n")

    def _tube(self, name: str) -> Tube | None:
        self._check_ready()
        return self._queue.tubes.get(name.encode())

    # --- the server

    def about(self) -> About:
        available = set(FEATURES)
        if self._directory is None:
            available -= {"history"}
        process = self._server.dispatcher.process()
        extensions = [row.name for row in EXTENSIONS]
        return About("beanstalkd-py", process.version, extensions, available)

    def stats(self) -> Figures:
        with self.connect() as link:
            return stats(link)

    def connections(self) -> list[Figures]:
        with self.connect() as link:
            reply = link.one(b"list-connections\r\n")
        inside = {
            client.id
            for client in self._server.dispatcher.clients.values()
            if self._is_inside(client.session)
        }
        with self.turns.work():
            found = list(self.turns.each(figures.items(reply.body)))
        return [each for each in found if each["id"] not in inside]

    def _is_inside(self, session: Any) -> bool:
        owner = getattr(session, "owner", None)
        return owner is not None and self._server.admission.address(owner.fd) == INSIDE

    def segments(self) -> Figures:
        self._check_ready()
        binlog = self._health.log
        if binlog is None:
            found: Figures = dict.fromkeys(("spare_bytes", "total_bytes", "live_bytes"), 0)
            return {"log": False, "segments": [], **found, "full": False}
        log, usage = binlog.log, binlog.usage
        sizes = {**log.segment_sizes, log.segment: log.active_bytes}
        lives = {number: max(each.live, 0) for number, each in usage.by_number.items()}
        return {
            "log": True,
            "segments": [
                {
                    "number": number, "bytes": nbytes, "live_bytes": lives.get(number, 0),
                    "active": number == log.segment,
                }
                for number, nbytes in sizes.items()
            ],
            "spare_bytes": log.total_bytes - sum(sizes.values()),
            "total_bytes": log.total_bytes,
            "live_bytes": max(usage.live, 0),
            "full": not binlog.headroom.accepts_puts,
        }  # fmt: skip

    def history(self, id: int) -> list[Figures]:
        assert self._directory is not None
        self._wait_until_durable()
        return history.of_job(self._directory, id)

    # --- tubes

    def tubes(self) -> tuple[list[Figures], int]:
        self._check_ready()
        tubes = self._queue.tube_list
        left_out = max(len(tubes) - MOST_TUBES, 0)
        with self.turns.work():
            self._search_oldest(tubes[:MOST_TUBES])
            each = self.turns.each(tubes[:MOST_TUBES])
            shown = [self._with_oldest(tube) for tube in each if self._is_there(tube)]
        self._wait_until_durable()
        return shown, left_out

    def _search_oldest(self, tubes: Sequence[Tube]) -> None:
        """One search at a time."""
        if self._searches:
            return
        self._searches = True
        try:
            for _ in self._oldest.search(tubes):
                self.turns.check()
        finally:
            self._searches = False

    def _with_oldest(self, tube: Tube) -> Figures:
        """With the age of its oldest ready job, if that is known."""
        found = self._figures(tube)
        created_at = self._oldest.created_at.get(tube)
        if created_at is not None:
            found["oldest-ready-age"] = max(boot_ns() - created_at, 0) // _NS
        return found

    def _is_there(self, tube: Tube) -> bool:
        return self._queue.tubes.get(tube.name) is tube

    def _figures(self, tube: Tube) -> Figures:
        return figures.of_lines(yaml.tube_lines(snapshot.of_tube(tube, boot_ns())))

    def tube(self, name: str) -> Figures | None:
        tube = self._tube(name)
        if tube is None:
            return None
        with self.turns.work():
            oldest = Oldest(self._queue, tube)
            while not oldest.search():
                self.turns.check()
        more = yaml.more_of_tube(tube, oldest.job, boot_ns())
        found = {**self._figures(tube), **figures.of_lines(more)}
        self._wait_until_durable()
        return found

    # --- jobs

    def jobs(
        self, tube: str, state: str, limit: int, cursor: str | None, wanted: Filter, shown: int
    ) -> Page | None:
        found = self._tube(tube)
        if found is None:
            return None
        with self.turns.work():
            if wanted.is_empty:
                page = self._listed(found, state, limit, cursor, shown)
            else:
                page = self._searched(found, state, limit, cursor, wanted, shown)
        self._wait_until_durable()
        return page

    def _listed(self, tube: Tube, state: str, limit: int, cursor: str | None, shown: int) -> Page:
        listing = Listing(self._queue, tube, _STATES[state], limit, _key(cursor))
        while True:
            while not listing.search():
                self.turns.check()
            taken = listing.take(limit)
            if taken or not listing.search_on():
                break
        jobs = [self._shown(job, shown) for _, job in taken]
        return Page(jobs, f"{taken[-1][0] >> 64}.{taken[-1][1].id}" if taken else None)

    def _searched(
        self, tube: Tube, state: str, limit: int, cursor: str | None, wanted: Filter, shown: int
    ) -> Page:
        if cursor is not None and not cursor.isdecimal():
            raise _other_list()
        after = int(cursor or 0)
        search = self._search(tube, state, wanted, after, boot_ns() + SEARCH_NS)
        jobs: list[ListedJob] = []
        for job in search.matches():
            jobs.append(self._shown(job, shown))
            if len(jobs) == limit:
                break
        return Page(jobs, None if search.complete else str(search.seen))

    def _search(
        self, tube: Tube, state: str, wanted: Filter, after: int = 0, until: int = NEVER
    ) -> Search:
        check = self.turns.check
        return Search(self._queue, tube, _STATES[state], wanted, boot_ns, check, after, until)

    def matching(self, tube: str, state: str, wanted: Filter) -> Iterator[list[tuple[int, int]]]:
        found = self._tube(tube)
        if found is None:
            return
        search = self._search(found, state, wanted).matches()
        while True:
            with self.turns.work():
                some = [(job.id, job.pri) for job in islice(search, TOGETHER)]
            if not some:
                return
            yield some

    def _shown(self, job: Job, shown: int) -> ListedJob:
        now = boot_ns()
        more = yaml.attributes(self._queue.attributes.get(job.id, NO_ATTRIBUTES), now)
        lines = [*yaml.job_lines(snapshot.of_job(job, now)), *more]
        return ListedJob(figures.of_lines(lines), len(job.body), bytes(job.body[:shown]))

    def job(self, id: int, shown: int) -> ListedJob | None:
        self._check_ready()
        job = self._queue.jobs.get(id)
        if job is None:
            return None
        found = self._shown(job, shown)
        self._wait_until_durable()
        return found

    def body(self, id: int) -> Iterator[bytes] | None:
        self._check_ready()
        job = self._queue.jobs.get(id)
        if job is None:
            return None
        body = job.body
        self._wait_until_durable()
        pieces = range(0, len(body), PIECE_BYTES)
        return (bytes(body[begin : begin + PIECE_BYTES]) for begin in pieces)


class _InsideLink(Link):
    def __init__(self, connection: Any, give_back: Callable[["_InsideLink"], bool]) -> None:
        super().__init__(connection)
        self._give_back = give_back

    def close(self) -> None:
        if not self._give_back(self):
            super().close()


def stats(link: Link) -> Figures:
    reply = link.ask(b"capabilities\r\n", b"stats\r\n")[1]
    return figures.parsed(reply.body, "id")


def _key(cursor: str | None) -> int:
    """The place in a `Listing`."""
    if cursor is None:
        return -1
    order, dot, id = cursor.partition(".")
    if not dot:
        raise _other_list()
    return (int(order) << 64) | min(int(id), _AFTER - 1)


def _other_list() -> ApiError:
    return invalid("The cursor is that of a list with another filter.")
