"""The source of any beanstalkd server, by its protocol: what the standalone console asks.

`capabilities` tells what our server can do. The C server does not know this command. It tells only
the first job of each state, so `jobs` is a page of one job there, and `matching` asks for the first
job again and again, while its caller deletes, kicks or buries it.
"""

import errno
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import gevent.socket
from gevent.lock import BoundedSemaphore

from beanstalkd_py.http.api import figures
from beanstalkd_py.http.api.errors import ApiError, not_available, unknown_reply
from beanstalkd_py.http.api.link import ANSWER_S, Link, Reply, groups, line
from beanstalkd_py.http.api.source import About, Figures, Filter, ListedJob, Page

CONNECT_S = 5.0
LINKS = 16  # connections at once
WAIT_S = 10.0  # for one of them
KEPT = 4  # of these, for later requests
ABOUT_S = 5.0  # the time for which an answer to `capabilities` is kept
MOST_TUBES = 1000  # with the C server, which has a command for each
LIST_MOST = 1000  # jobs of one `list-jobs`
SEARCH_S = 2.0  # of one page; then the page is shorter than it may be

OURS = "beanstalkd-py"
# Which extension gives which feature.
_FEATURES = {
    "jobs": "list-jobs",
    "search": "list-jobs",
    "connections": "list-connections",
    "move": "move-job",
    "truncate": "truncate",
    "policy": "set-tube",
    "drain": "drain",
    "put-with": "put-with",
}

_OF_TUBE = tuple(f"current-jobs-{state}" for state in ("ready", "reserved", "delayed", "buried"))
_CURSOR = re.compile("[0-9]{1,20}([.][0-9]{1,20})?")
_OF_JOB = ("id", "pri", "age", "reserves")


class Remote:
    """host and port: of the server."""

    def __init__(self, host: str, port: int) -> None:
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._address = (host, port)
        self._places = BoundedSemaphore(LINKS)
        self._kept: list[_TcpLink] = []
        self._about = About("beanstalkd", "", [], set())
        self._about_until = 0.0

    # --- connections

    def connect(self) -> Link:
        if not self._places.acquire(timeout=WAIT_S):
            raise ApiError(503, "busy", "Too many requests wait for the server.")
        while self._kept:
            link = self._kept.pop()
            if link.is_open:
                return link
            link.end()
        try:
            connection = gevent.socket.create_connection(self._address, CONNECT_S)
        except (OSError, UnicodeError) as error:
            self._places.release()
            self._about_until = 0.0
            reason = getattr(error, "strerror", None) or str(error)
            message = f"The server at {self.name} cannot be reached: {reason}."
            raise ApiError(502, "unreachable", message) from error
        return _TcpLink(connection, self._give_back)

    def _give_back(self, link: "_TcpLink") -> None:
        self._places.release()
        if link.is_clean and len(self._kept) < KEPT:
            self._kept.append(link)
        else:
            link.end()

    def close(self) -> None:
        while self._kept:
            self._kept.pop().end()

    # --- the server

    def about(self) -> About:
        if time.monotonic() < self._about_until:
            return self._about
        with self.connect() as link:
            known, stats = link.ask(line("capabilities"), line("stats"))
        said = _parsed(known) or {}
        if said.get("server") == OURS:
            names = figures.names(known.body)
            available = {feature for feature, name in _FEATURES.items() if name in names}
            self._about = About(OURS, str(said.get("version")), names, available | {"matching"})
        else:  # the replies of another server may have another form
            version = str(figures.parsed(stats.body).get("version", ""))
            self._about = About("beanstalkd", version, [], {"jobs", "matching"})
        self._about_until = time.monotonic() + ABOUT_S
        return self._about

    def _has(self, extension: str) -> bool:
        return extension in self.about().extensions

    def stats(self) -> Figures:
        with self.connect() as link:
            return figures.parsed(link.ask(line("capabilities"), line("stats"))[1].body, "id")

    def connections(self) -> list[Figures]:
        with self.connect() as link:
            return list(figures.items(link.one(line("list-connections")).body))

    def segments(self) -> Figures:
        raise not_available("segments")

    def history(self, id: int) -> list[Figures]:
        raise not_available("history")

    # --- tubes

    def tubes(self) -> tuple[list[Figures], int]:
        all_at_once = self._has("stats-tube-all")
        with self.connect() as link:
            if all_at_once:
                items = figures.items(link.one(line("stats-tube-all")).body)
                return [_checked(each, *_OF_TUBE) for each in items], 0
            names = figures.names(link.one(line("list-tubes")).body)
            shown = [name for name in names[:MOST_TUBES] if name.isascii()]
            found = []
            for some in groups(shown):
                replies = link.ask(*(line("stats-tube", name) for name in some))
                found += [each for each in map(_tube, replies) if each is not None]
        return found, len(names) - len(shown)

    def tube(self, name: str) -> Figures | None:
        with self.connect() as link:
            return _tube(link.ask(line("capabilities"), line("stats-tube", name))[1])

    # --- jobs

    def jobs(
        self, tube: str, state: str, limit: int, cursor: str | None, wanted: Filter, shown: int
    ) -> Page | None:
        if not self._has("list-jobs"):
            return self._first(tube, state, wanted, shown)
        found: list[ListedJob] = []
        ends = time.monotonic() + SEARCH_S
        with self.connect() as link:
            while True:
                # A search looks at many jobs for each that it finds.
                count = limit - len(found) if wanted.is_empty else LIST_MOST
                page = _list(link, tube, state, count, cursor)
                if page is None:
                    return None
                if not page:
                    return Page(found, None)
                for job in self._matching(link, page, wanted, shown):
                    cursor = job.figures.pop("cursor")
                    found.append(job)
                    if len(found) == limit:
                        return Page(found, cursor)
                cursor = page[-1].get("cursor", cursor)  # `pop` above has taken it
                if wanted.is_empty or time.monotonic() > ends:
                    return Page(found, cursor)

    def _matching(
        self, link: Link, page: list[Figures], wanted: Filter, shown: int
    ) -> Iterator[ListedJob]:
        """Of a page of `list-jobs`. A job that was deleted meanwhile is left out."""
        fitting = [job for job in page if _fits(job, wanted)]
        keep = shown if not wanted.needles else None
        for some in groups(fitting):
            bodies = link.ask(*(line("peek", job["id"]) for job in some), keep=keep)
            for job, body in zip(some, bodies, strict=True):
                if body.word == "FOUND" and all(each in body.body for each in wanted.needles):
                    size = job.pop("size")
                    yield ListedJob(job, size, body.body[:shown])

    def _first(self, tube: str, state: str, wanted: Filter, shown: int) -> Page | None:
        """All that the C server tells: the job that would be served first."""
        if not wanted.is_empty:
            raise not_available("search")
        if state == "reserved":
            raise not_available("list reserved jobs")
        with self.connect() as link:
            if link.one(line("stats-tube", tube)).word != "OK":
                return None
            found = _peek_first(link, tube, state, shown)
            if found is None:
                return Page([], None)
            job = _job(link.one(line("stats-job", found.number())))
        if job is None:
            return Page([], None)
        return Page([ListedJob(job, found.size, found.body)], None)

    def job(self, id: int, shown: int) -> ListedJob | None:
        with self.connect() as link:
            _, stats, body = link.ask(
                line("capabilities"), line("stats-job", id), line("peek", id), keep=max(shown, 4096)
            )
        job = _job(stats)
        if job is None or body.word != "FOUND":
            return None
        return ListedJob(job, body.size, body.body[:shown])

    def body(self, id: int) -> Iterator[bytes] | None:
        link = self.connect()
        try:
            link.send(line("peek", id))
            head = link.head()
        except BaseException:
            link.close()
            raise
        if head.word != "FOUND":
            link.close()
            return None
        return _Pieces(link, head.size)

    def matching(self, tube: str, state: str, wanted: Filter) -> Iterator[list[tuple[int, int]]]:
        if self._has("list-jobs"):
            return self._listed(tube, state, wanted)
        if not wanted.is_empty:
            raise not_available("search")
        return self._first_again(tube, state)

    def _listed(self, tube: str, state: str, wanted: Filter) -> Iterator[list[tuple[int, int]]]:
        """Jobs that are put meanwhile are known by their age."""
        began = time.monotonic()
        cursor = None
        seen: set[int] = set()
        with self.connect() as link:
            left = 2 * _count(link, tube, state) + LIST_MOST
            while left > 0:
                page = _list(link, tube, state, LIST_MOST, cursor)
                if not page:
                    return
                left -= len(page)
                cursor = page[-1]["cursor"]
                elapsed = time.monotonic() - began
                old = [job for job in page if job["age"] + 1 > elapsed and job["id"] not in seen]
                found = [job.figures for job in self._matching(link, old, wanted, 0)]
                seen.update(job["id"] for job in found)
                for some in groups(found):
                    yield [(job["id"], job["pri"]) for job in some]

    def _first_again(self, tube: str, state: str) -> Iterator[list[tuple[int, int]]]:
        """Ends when nothing was done to a job, so that it is the first one still."""
        with self.connect() as link:
            last = 0
            for _ in range(_count(link, tube, state)):
                found = _peek_first(link, tube, state, 0)
                if found is None or found.number() == last:
                    return
                last = found.number()
                job = _job(link.one(line("stats-job", last)))
                if job is not None:
                    yield [(last, job["pri"])]


class _TcpLink(Link):
    def __init__(self, connection: Any, closed: Callable[["_TcpLink"], object]) -> None:
        super().__init__(connection)
        self._closed = closed

    def close(self) -> None:
        self._closed(self)

    def end(self) -> None:
        super().close()

    @property
    def is_open(self) -> bool:
        """A server that was restarted has closed it. Nothing else comes from an idle one."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1)
            return False
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(ANSWER_S)


class _Pieces(Iterator[bytes]):
    """The body that comes next on the link. `close` gives the link back, also before a piece was
    taken, which a generator does not do.
    """

    def __init__(self, link: Link, size: int) -> None:
        self._link: Link | None = link
        self._pieces = link.pieces(size)

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except ApiError as error:  # too late for an answer: the client's connection is cut
            self.close()
            raise ConnectionResetError(errno.ECONNRESET, error.message) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.close()


def _parsed(reply: Reply) -> Figures | None:
    return figures.parsed(reply.body) if reply.word == "OK" else None


def _tube(reply: Reply) -> Figures | None:
    found = _parsed(reply)
    return None if found is None else _checked(found, *_OF_TUBE)


def _job(reply: Reply) -> Figures | None:
    found = _parsed(reply)
    return None if found is None else _checked(found, *_OF_JOB)


def _checked(found: Figures, *keys: str) -> Figures:
    """These must be numbers. Raises ApiError."""
    for key in keys:
        if not isinstance(found.get(key), int):
            message = f"The server's reply was not understood: it has no {key}."
            raise ApiError(502, "not_understood", message)
    return found


def _count(link: Link, tube: str, state: str) -> int:
    found = _tube(link.one(line("stats-tube", tube)))
    return 0 if found is None else int(found[f"current-jobs-{state}"])


def _list(
    link: Link, tube: str, state: str, limit: int, cursor: str | None
) -> list[Figures] | None:
    """None: there is no such tube."""
    more = () if cursor is None else (cursor,)
    reply = link.one(line("list-jobs", tube, state, limit, *more))
    if reply.word == "OK":
        jobs = [_checked(each, "size", *_OF_JOB) for each in figures.items(reply.body)]
        if not all(_CURSOR.fullmatch(each.get("cursor", "")) for each in jobs):
            raise ApiError(502, "not_understood", "The server's cursors were not understood.")
        return jobs
    if reply.word == "NOT_FOUND":
        return None
    if reply.word == "BAD_FORMAT" and cursor is not None:
        raise ApiError(422, "bad_cursor", "The server does not accept the cursor.")
    raise unknown_reply(reply.word)


def _peek_first(link: Link, tube: str, state: str, keep: int) -> Reply | None:
    link.state = True  # it uses the tube
    found = link.ask(line("use", tube), line(f"peek-{state}"), keep=keep)[1]
    return found if found.word == "FOUND" else None


def _fits(job: Figures, wanted: Filter) -> bool:
    """All of the filter, except the bytes of the body."""
    at_least = ((wanted.min_age, job["age"]), (wanted.min_attempts, job["reserves"]))
    at_most = ((wanted.max_age, job["age"]), (wanted.max_attempts, job["reserves"]))
    return all(limit is None or value >= limit for limit, value in at_least) and all(
        limit is None or value <= limit for limit, value in at_most
    )
