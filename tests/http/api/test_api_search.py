"""Jobs that match a filter, and actions on all of them: none twice, none left out, in slices."""

from __future__ import annotations

import pytest

from beanstalkd_py.http.api.search import PIECE, Search, contains
from beanstalkd_py.http.api.source import Filter
from beanstalkd_py.queue.model import BURIED, NEVER, READY, Tube
from beanstalkd_py.queue.queue import Queue
from tests.http.api.conftest import Api

NS = 1_000_000_000
ALL = Filter()


class World:
    """A queue with jobs in the tube `mail`; `turns` are called when the loop would have one."""

    def __init__(self) -> None:
        self.queue = Queue()
        self.client = self.queue.connect()
        self.checks = 0
        self.turns: list[object] = []
        self.now = 0

    def put(self, *bodies: bytes, tube: bytes = b"mail") -> None:
        for body in bodies:
            self.queue.put_in(self.client, tube, 0, 0, 0, NS, body)

    def check(self) -> None:
        self.checks += 1
        if self.turns:
            turn = self.turns.pop(0)
            assert callable(turn)
            turn()

    @property
    def tube(self) -> Tube:
        return self.queue.tubes[b"mail"]

    def search(self, state: int = READY, after: int = 0, until: int = NEVER, **how: int) -> Search:
        wanted = Filter(**how)  # type: ignore[arg-type]
        return self.of(wanted, state, after, until)

    def of(self, wanted: Filter, state: int = READY, after: int = 0, until: int = NEVER) -> Search:
        return Search(
            self.queue, self.tube, state, wanted, lambda: self.now, self.check, after, until
        )

    def ids(self, wanted: Filter = ALL, after: int = 0) -> list[int]:
        return [job.id for job in self.of(wanted, after=after).matches()]


@pytest.fixture
def world() -> World:
    return World()


def test_jobs_of_other_tubes_and_states_do_not_match(world: World) -> None:
    world.put(b"a", b"a")
    world.put(b"a", tube=b"other")
    world.put(b"a")
    world.queue.reserve_job(world.client, 0, 2)
    assert world.ids() == [1, 4]
    assert world.ids(after=1) == [4]
    world.queue.bury(world.client, 0, 2, 0)
    assert [job.id for job in world.search(BURIED).matches()] == [2]


def test_ages_are_whole_seconds(world: World) -> None:
    world.put(b"a")
    world.now = 5 * NS + 1
    for least, most, matches in [(5, 5, True), (6, None, False), (None, 4, False), (0, 9, True)]:
        assert (world.ids(Filter((), least, most)) == [1]) is matches


def test_job_that_changes_during_its_search_does_not_match(world: World) -> None:
    body = b"a" * PIECE * 3 + b"b"
    for change in (
        lambda: world.queue.delete(world.client, 0, 1),
        lambda: world.queue.reserve_job(world.client, 0, 3),
    ):
        world.put(body, body)
        before = world.ids()
        world.turns = [lambda: None, change]  # in the first body
        assert world.ids(Filter((b"b",))) == before[1:]
        world.queue.delete(world.client, 0, 2)


def test_jobs_put_during_the_search_are_left_out(world: World) -> None:
    """So an action on all that match ends."""
    world.put(*[b"a"] * 1100)  # more than a block of the table
    world.turns = [lambda: world.put(b"a")] * 3
    assert world.ids(Filter((b"a",))) == list(range(1, 1101))


def test_search_lets_the_loop_turn(world: World) -> None:
    """Before each job that it looks at closely, in each piece of a long body, after each block."""
    world.put(b"a", b"b" * PIECE * 10, b"c")
    world.ids(Filter((b"d",)))
    assert world.checks == 3 + 9 + 1
    world.checks = 0
    for _ in range(3000):
        world.put(b"a", tube=b"other")
    world.ids()
    assert world.checks == 3 + 3


def test_search_stops_in_time_and_goes_on(world: World) -> None:
    world.put(*[b"a"] * 10)
    search = world.search(until=3)

    def pass_time() -> None:
        world.now += 1

    world.turns = [pass_time] * 20
    first = [job.id for job in search.matches()]
    assert not search.complete and first == [1, 2, 3] and search.seen == 3
    world.turns = []
    rest = world.search(after=search.seen)
    assert [job.id for job in rest.matches()] == list(range(4, 11))
    assert rest.complete


@pytest.mark.parametrize("at", [0, 1, PIECE - 2, PIECE - 1, PIECE, 2 * PIECE - 1, 3 * PIECE - 3])
def test_bytes_are_found_at_each_place(at: int) -> None:
    body = bytearray(3 * PIECE)
    body[at : at + 3] = b"abc"
    assert contains(bytes(body), b"abc", lambda: None)
    assert contains(body, b"abc", lambda: None)
    assert not contains(bytes(body), b"abd", lambda: None)


def test_longer_needle_than_body() -> None:
    assert not contains(b"ab", b"abc", lambda: None)
    assert not contains(b"", b"a", lambda: None)
    assert contains(b"abc", b"abc", lambda: None)


# On a server


def counts(api: Api, tube: str) -> list[int]:
    figures = api.get(f"/api/tubes/{tube}")
    return [figures[f"current-jobs-{state}"] for state in ("ready", "delayed", "buried")]


def test_preview_counts_and_changes_nothing(api: Api) -> None:
    api.put(*[b"ann"] * 3, b"bob")
    api.put(b"ann", delay=1000)
    for action in ("bury", "delete", "move"):
        more = {"to": "other"} if action == "move" else {}
        value = {"state": "ready", "contains": "nn", "preview": True, **more}
        found = api.post(f"/api/tubes/mail/jobs/{action}", value)
        assert (found["preview"], found["matched"], found["done"]) == (True, 3, 0)
    assert counts(api, "mail") == [4, 1, 0]


def test_all_that_match_are_acted_on(api: Api) -> None:
    ids = api.put(*[b"ann", b"bob"] * 120)
    path = "/api/tubes/mail/jobs"
    ann = {"state": "ready", "contains": "ann"}
    assert api.post(f"{path}/bury", {**ann, "limit": 70})["done"] == 70
    assert [api.state(id) for id in ids[:141:2]] == ["buried"] * 70 + ["ready"]
    found = api.post(f"{path}/bury", ann)
    assert (found["matched"], found["done"], found["failed"]) == (50, 50, 0)
    assert counts(api, "mail") == [120, 0, 120]
    assert api.post(f"{path}/kick", {"state": "buried"})["done"] == 120
    assert api.post(f"{path}/move", {**ann, "to": "other"})["done"] == 120
    assert counts(api, "other") == [120, 0, 0]
    assert api.post(f"{path}/delete", {"state": "ready", "min_age": 0})["done"] == 120
    assert counts(api, "other") == [120, 0, 0]
    path = "/api/tubes/none/jobs/delete"
    assert api.error("POST", path, {"state": "ready"}) == (404, "no_tube")


def test_move_into_the_same_tube_ends(api: Api) -> None:
    api.put(*[b"a"] * 120)
    found = api.post("/api/tubes/mail/jobs/move", {"state": "ready", "to": "mail"})
    assert found["matched"] == 120
    assert counts(api, "mail") == [120, 0, 0]
