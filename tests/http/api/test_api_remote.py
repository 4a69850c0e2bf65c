"""The source that asks a server by the protocol, on our server and on the C server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from testkit.client import Client
from testkit.daemon import OURS, Daemon
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from beanstalkd_py.http.access import Access
from beanstalkd_py.http.api import link
from beanstalkd_py.http.api.api import Api
from beanstalkd_py.http.api.bulk import TARGETS, Bulk
from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.link import Link
from beanstalkd_py.http.api.remote import LINKS, LIST_MOST, Remote
from beanstalkd_py.http.api.source import About, Filter
from beanstalkd_py.http.api.turns import Turns
from tests.http.users import ANNA, basic
from tests.wire.reference import need_c_server

ALL = Filter()


class World:
    """A server, a source that asks it, and a client."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.client: Client = daemon.client()
        self.remote = Remote("127.0.0.1", daemon.port)

    def put(self, *bodies: bytes, tube: str = "mail", delay: int = 0) -> list[int]:
        self.client.ask(b"use %b\r\n" % tube.encode())
        return [self.client.put(body, pri=7, delay=delay) for body in bodies]

    def bury(self, *bodies: bytes) -> list[int]:
        """Puts jobs and buries them."""
        ids = self.put(*bodies)
        self.client.ask(b"watch mail\r\n")
        for _ in ids:
            id = int(self.client.ask(b"reserve\r\n").split()[1])
            assert self.client.ask(b"bury %d 7\r\n" % id) == b"BURIED\r\n"
        return ids

    def ids(self, state: str, wanted: Filter = ALL, cursor: str | None = None) -> list[int]:
        page = self.remote.jobs("mail", state, 100, cursor, wanted, 10)
        assert page is not None
        return [job.figures["id"] for job in page.jobs]

    def matching(self, state: str, wanted: Filter = ALL) -> list[int]:
        found = self.remote.matching("mail", state, wanted)
        return [id for id, _ in chain.from_iterable(found)]

    def restart(self) -> None:
        """On the same port."""
        port = self.daemon.port
        self.daemon.kill()
        self.client.close()
        self.daemon.launch(["-p", str(port)]).wait_ready()


def world_of(daemon: Daemon) -> Iterator[World]:
    world = World(daemon)
    yield world
    world.remote.close()


@pytest.fixture
def ours() -> Iterator[World]:
    with Daemon(program=OURS).start() as daemon:
        yield from world_of(daemon)
        assert daemon.errors() == ""


@pytest.fixture
def theirs() -> Iterator[World]:
    with Daemon(program=(need_c_server(),)).start() as daemon:
        yield from world_of(daemon)


@pytest.fixture(params=["ours", "theirs"])
def world(request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(request.param)
    return found


def test_figures_are_those_of_the_protocol(world: World) -> None:
    world.put(b"a", tube="17")  # a name in the form of a number
    stats = world.remote.stats()
    assert (stats["current-jobs-ready"], stats["total-jobs"]) == (1, 1)
    assert isinstance(stats["id"], str)
    tubes, left_out = world.remote.tubes()
    assert ([tube["name"] for tube in tubes], left_out) == (["default", "17"], 0)
    tube = world.remote.tube("17")
    assert tube is not None
    assert tube["current-jobs-ready"] == 1
    assert world.remote.tube("none") is None


def test_job_and_its_body(world: World) -> None:
    (id,) = world.put(b"x" * 5000 + b"end")
    job = world.remote.job(id, 10)
    assert job is not None
    assert (job.figures["pri"], job.size, job.beginning) == (7, 5003, b"x" * 10)
    body = world.remote.body(id)
    assert body is not None
    assert b"".join(body) == b"x" * 5000 + b"end"
    assert world.remote.job(99, 10) is None
    assert world.remote.body(99) is None


def test_body_that_is_not_read_leaves_no_rest_to_others(world: World) -> None:
    (id,) = world.put(b"x" * 60000)
    body = world.remote.body(id)
    assert body is not None
    next(body)
    body.close()  # type: ignore[attr-defined]
    assert world.remote.stats()["total-jobs"] == 1


def test_capabilities_tell_what_is_available(ours: World, theirs: World) -> None:
    about = ours.remote.about()
    assert about.server == "beanstalkd-py"
    assert about.available == {
        *("jobs", "search", "matching", "connections", "move", "truncate", "policy", "drain"),
        "put-with",
    }
    about = theirs.remote.about()
    assert (about.server, about.version[:2], about.extensions) == ("beanstalkd", "1.", [])
    assert about.available == {"jobs", "matching"}


def test_c_server_tells_its_first_jobs_only(theirs: World) -> None:
    buried = theirs.bury(b"a", b"b")
    ready = theirs.put(b"c", b"d")
    delayed = theirs.put(b"e", delay=100)
    assert theirs.ids("ready") == ready[:1]
    assert theirs.ids("delayed") == delayed
    assert theirs.ids("buried") == buried[:1]
    for state, wanted in (("reserved", ALL), ("ready", Filter((b"a",)))):
        with pytest.raises(ApiError) as refused:
            theirs.ids(state, wanted)
        assert refused.value.status == 501
    assert theirs.remote.jobs("none", "ready", 10, None, ALL, 10) is None


def test_pages_of_jobs_follow_each_other(ours: World) -> None:
    """The id of the tenth job ends in a zero, which a cursor must keep."""
    ids = ours.put(*(b"%d" % number for number in range(25)))
    found, cursor = [], None
    while (page := ours.remote.jobs("mail", "ready", 10, cursor, ALL, 10)) and page.jobs:
        found += [job.figures["id"] for job in page.jobs]
        cursor = page.cursor
        assert "cursor" not in page.jobs[0].figures
    assert found == ids


def test_cursor_that_the_server_refuses(ours: World) -> None:
    ours.put(b"a")
    with pytest.raises(ApiError) as refused:
        ours.ids("ready", cursor="first")
    assert (refused.value.status, refused.value.code) == (422, "bad_cursor")


def test_search_finds_jobs_by_body_and_attempts(ours: World) -> None:
    ids = ours.put(b"one two", b"one", b"two " + b"x" * 5000 + b" one two")
    assert ours.ids("ready", Filter((b"one", b"two"))) == [ids[0], ids[2]]
    assert ours.ids("ready", Filter(min_attempts=1)) == []
    assert ours.ids("ready", Filter(max_attempts=0, max_age=1000)) == ids
    assert ours.ids("ready", Filter(min_age=1000)) == []


def test_search_goes_on_behind_a_full_page(ours: World) -> None:
    ids = ours.put(*[b"a", b"b"] * 5)
    page = ours.remote.jobs("mail", "ready", 2, None, Filter((b"b",)), 10)
    assert page is not None
    assert [job.figures["id"] for job in page.jobs] == [ids[1], ids[3]]
    assert ours.ids("ready", Filter((b"b",)), page.cursor) == [ids[5], ids[7], ids[9]]


def test_matching_gives_each_job_once(ours: World) -> None:
    """Jobs that are buried again while they are listed come last in the list again."""
    ids = ours.bury(*[b"a"] * (LIST_MOST + 5))
    found = []
    for some in ours.remote.matching("mail", "buried", ALL):
        found += [id for id, _ in some]
        for id, _ in some:
            ours.client.ask(b"kick-job %d\r\n" % id)
        for _ in some:
            id = int(ours.client.ask(b"reserve\r\n").split()[1])
            ours.client.ask(b"bury %d 7\r\n" % id)
    assert found == ids


def test_matching_of_the_c_server_ends_if_nothing_is_done(theirs: World) -> None:
    ids = theirs.put(b"a", b"b")
    assert theirs.matching("ready") == ids[:1]
    assert theirs.matching("buried") == []


@pytest.mark.parametrize(
    ("action", "state"), [("delete", "ready"), ("bury", "ready"), ("kick", "buried")]
)
def test_actions_reach_all_jobs_of_a_state(world: World, action: str, state: str) -> None:
    bodies = [b"%d" % number for number in range(7)]
    world.bury(*bodies) if state == "buried" else world.put(*bodies)
    bulk = Bulk(world.remote)
    target = TARGETS[action]("")
    counted = bulk.matching(target, "mail", state, ALL, None, preview=True)
    assert (counted["matched"], counted["done"]) == (7, 0)
    done = bulk.matching(target, "mail", state, ALL, 5, preview=False)
    assert (done["matched"], done["done"], done["failed"]) == (5, 5, 0)
    left = world.remote.tube("mail")
    assert left is not None
    assert left[f"current-jobs-{state}"] == 2


def test_server_that_was_restarted_is_asked_again(world: World) -> None:
    world.put(b"a")
    assert world.remote.stats()["total-jobs"] == 1
    world.restart()
    assert world.remote.stats()["total-jobs"] == 0


def test_server_that_is_away_is_an_error() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ApiError) as away:
            Remote("127.0.0.1", port).stats()
    message = f"The server at 127.0.0.1:{port} cannot be reached: Connection refused."
    assert (away.value.status, away.value.message) == (502, message)


def test_name_that_does_not_resolve_is_an_error() -> None:
    with pytest.raises(ApiError, match="cannot be reached"):
        Remote("a" * 70, 1).stats()


class Scripted:
    """A socket whose other end sends these bytes, and closes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def sendall(self, data: bytes) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        pass

    def recv(self, count: int) -> bytes:
        some, self._data = self._data[:count], self._data[count:]
        return some

    def close(self) -> None:
        pass


def ok(text: str) -> bytes:
    return b"OK %d\r\n%b\r\n" % (len(text), text.encode())


COUNTS = "".join(
    f"current-jobs-{state}: 1\n" for state in ("ready", "reserved", "delayed", "buried")
)
TUBE = f"name: mail\n{COUNTS}"
JOB = "id: 7\ntube: mail\nstate: ready\npri: 1\nage: 1\nreserves: 0\n"
LISTED = "- " + (JOB + "size: 1\ncursor: 1.7\n").replace("\n", "\n  ").rstrip(" ")
REPLIES = {
    "stats": ok("---\nextensions:\n- ping\n") + ok("---\nid: 1\n"),
    "tubes": ok("---\n- mail\n") + ok(f"---\n{TUBE}"),
    "tube": ok("---\n") + ok(f"---\n{TUBE}"),
    "job": ok("---\n") + ok(f"---\n{JOB}") + b"FOUND 7 4\r\nbody\r\n",
    "jobs": ok(f"---\n{LISTED}") + b"FOUND 7 4\r\nbody\r\n" + ok("---\n[]\n"),
    "connections": ok("---\n- id: 1\n  address: x\n"),
}
ASKED = {
    "body": (7,),
    "tube": ("mail",),
    "job": (7, 10),
    "jobs": ("mail", "ready", 10, None, Filter((b"o",)), 10),
}


def ask(name: str, data: bytes) -> object:
    """Calls a method of a source whose server sends this."""
    remote = Remote("127.0.0.1", 1)
    extensions = ["list-jobs"] if name == "jobs" else []
    remote._about = About("beanstalkd", "", extensions, set())
    remote._about_until = float("inf")
    remote.connect = lambda: Link(Scripted(data))  # type: ignore[method-assign]
    return getattr(remote, name)(*ASKED.get(name, ()))


@pytest.mark.parametrize("name", REPLIES)
def test_whole_replies_are_understood(name: str) -> None:
    assert ask(name, REPLIES[name])


@given(
    st.sampled_from(sorted(REPLIES)), st.integers(0, 400), st.integers(0, 9), st.binary(max_size=9)
)
def test_malformed_replies_are_an_error_of_the_server(
    name: str, place: int, cut: int, inserted: bytes
) -> None:
    """Some bytes are replaced. The change may do no harm."""
    data = REPLIES[name]
    place %= len(data)
    try:
        ask(name, data[:place] + inserted + data[place + cut :])
    except ApiError as error:
        assert error.status in (502, 504)


def test_reply_without_a_figure_is_an_error_of_the_server() -> None:
    with pytest.raises(ApiError, match="it has no current-jobs-buried") as missing:
        ask("tube", REPLIES["tube"].replace(b"jobs-buried", b"jobs-xxxxxx"))
    assert missing.value.status == 502


@pytest.mark.parametrize("cursor", ["", "cursor: 1.\ud800\n", "cursor: 1.7 x\n", "cursor: -1\n"])
def test_cursor_that_is_none_is_an_error_of_the_server(cursor: str) -> None:
    """It becomes a word of the next command."""
    listed = LISTED.replace("cursor: 1.7\n", cursor).encode(errors="surrogatepass")
    with pytest.raises(ApiError, match="cursors were not understood") as raised:
        ask("jobs", b"OK %d\r\n%b\r\n" % (len(listed) + 4, b"---\n" + listed))
    assert raised.value.status == 502


def test_reply_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "BODY_MOST", 1000)
    with pytest.raises(ApiError, match="has 1001 bytes"):
        ask("stats", b"OK 1001\r\n" + b"x" * 1001)


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_body_gives_its_connection_back(ours: World, method: str) -> None:
    """Also if nothing of it is sent, and the right to it is asked for each piece."""
    (id,) = ours.put(b"body")
    access = Access({"anna": ANNA}, True, False, lambda *a, **more: None)
    api = Api(ours.remote, Turns(), lambda what, error: None)
    for _ in range(LINKS + 1):
        path = f"/api/jobs/{id}/body"
        environ = EnvironBuilder(path, method=method, headers=basic("anna")).get_environ()
        request = Request(environ)
        response = access.while_allowed(request, api.respond(request))
        body = b"".join(response(environ, lambda *a: None))
        response.close()
        assert body == (b"body" if method == "GET" else b"")
        assert ours.remote._places.counter == LINKS


@pytest.mark.parametrize("data", [b"FOUND 7 4\r\nbo", b"FOUND 7 2\r\nbody"])
def test_lost_server_cuts_a_body(data: bytes) -> None:
    """As if the client were gone: no error of ours is reported."""
    pieces = ask("body", data)
    with pytest.raises(ConnectionResetError):
        b"".join(pieces)  # type: ignore[arg-type]
