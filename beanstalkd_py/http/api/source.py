"""The seam between the API and a server: what it reads, and a connection for what it changes.

`Remote` asks any server by the protocol. `Local` is inside of a server's process: it reads what
would be too much for the protocol, and its connections are socket pairs. Neither has another way to
change the queue than the commands of a client.

Figures are dicts with the keys of the protocol (`stats`, `stats-tube`, ...).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from beanstalkd_py.http.api.link import Link

Figures = dict[str, Any]

# What a server may have beyond the C server's commands: the entries of `available`.
FEATURES = (
    "jobs", "search", "matching", "connections", "segments", "history", "move", "truncate",
    "policy", "drain", "put-with",
)  # fmt: skip


class Filter(NamedTuple):
    """Which jobs: all of it must be true. needles: bytes of the body. Ages in seconds, None without
    a limit.
    """

    needles: tuple[bytes, ...] = ()
    min_age: int | None = None
    max_age: int | None = None
    min_attempts: int | None = None
    max_attempts: int | None = None

    @property
    def is_empty(self) -> bool:
        return self == Filter()


class ListedJob(NamedTuple):
    """figures: those of `stats-job`. beginning: of its body, which has `size` bytes."""

    figures: Figures
    size: int
    beginning: bytes


class Page(NamedTuple):
    """cursor: of the next page; None at the end."""

    jobs: list[ListedJob]
    cursor: str | None


@dataclass
class About:
    """server: "beanstalkd-py" or "beanstalkd". available: some of FEATURES."""

    server: str
    version: str
    extensions: list[str]
    available: set[str]


class Source(Protocol):
    """Calls raise `errors.ApiError`. None instead of a value: there is no such tube or job."""

    def connect(self) -> Link:
        """A connection, as a client of the server. To be closed by the caller."""

    def about(self) -> About:
        """What the server is, and what it can do."""

    def stats(self) -> Figures: ...

    def tubes(self) -> tuple[list[Figures], int]:
        """All tubes, and how many more there are."""

    def tube(self, name: str) -> Figures | None: ...

    def jobs(
        self, tube: str, state: str, limit: int, cursor: str | None, wanted: Filter, shown: int
    ) -> Page | None:
        """shown: bytes of each body."""

    def job(self, id: int, shown: int) -> ListedJob | None: ...

    def body(self, id: int) -> Iterator[bytes] | None:
        """The whole body in pieces."""

    def matching(self, tube: str, state: str, wanted: Filter) -> Iterator[list[tuple[int, int]]]:
        """Ids and priorities of all jobs that match, in lists. A job comes once at most, and not if
        it was put after the call.
        """

    def connections(self) -> list[Figures]: ...

    def segments(self) -> Figures: ...

    def history(self, id: int) -> list[Figures]: ...
