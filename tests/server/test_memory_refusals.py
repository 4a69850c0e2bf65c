"""The operator hears when puts are refused for lack of memory, and when they go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog.refusals import QUIET_NS
from beanstalkd_py.binlog.report import messages_only
from beanstalkd_py.protocol.bodies import LARGE_BODY
from beanstalkd_py.queue.memory import PIECE_BYTES, PROBE_BYTES, RESERVE_BYTES
from beanstalkd_py.server.memory_refusals import MemoryRefusals

OUT = b"OUT_OF_MEMORY\r\n"
REFUSED = (
    "puts are refused: Cannot allocate memory; allow more memory (ulimit -v, LimitAS=), "
    "or delete jobs"
)
LARGE = 100_000


def no_memory(*arguments: object) -> bytes:
    raise MemoryError


class World:
    """A server with a log, and the operator's lines."""

    def __init__(self, directory: object) -> None:
        self.server = QueueServer(directory)  # type: ignore[arg-type]
        self.client = self.server.session()
        self.memory = self.server.queue.memory
        self.lines: list[str] = []
        self.refusals = MemoryRefusals(self.memory, messages_only(self.lines.append))
        self.now = 0

    def put(self, nbytes: int = 1) -> bytes:
        return self.server.say(self.client, b"put 0 0 60 %d" % nbytes, bytes(nbytes))

    def check_later(self, ns: int = QUIET_NS) -> None:
        self.now += ns
        self.refusals.check(self.now)


@pytest.fixture
def world(tmp_path: object) -> World:
    return World(tmp_path)


def short(world: World) -> None:
    """The memory reserve is released and cannot be set aside again."""
    world.memory.allocate = no_memory
    world.memory.release()


def test_begin_and_end_are_reported(world: World) -> None:
    short(world)
    assert [world.put(), world.put()] == [OUT, OUT]
    world.check_later()
    assert world.lines == [REFUSED]
    world.check_later()
    world.memory.allocate = bytes
    world.check_later()
    assert world.lines == [REFUSED, "puts are accepted again; 2 were refused"]
    assert not world.memory.short
    assert world.put().startswith(b"INSERTED")


def test_nothing_is_reported_without_a_refused_put(world: World) -> None:
    """A reply without memory releases the reserve too."""
    short(world)
    world.check_later()
    world.memory.allocate = bytes
    world.put()
    world.check_later()
    assert world.lines == []


def fail_from(nbytes: int) -> Callable[[World], None]:
    def prepare(world: World) -> None:
        world.memory.allocate = lambda asked: no_memory() if asked >= nbytes else bytes(asked)
        world.memory.probe_at = 0  # the next put is a probe

    return prepare


def fail_body(world: World) -> None:
    """There is memory for a probe, and none for the buffer of the body."""
    world.memory.allocate = lambda asked: (
        bytes(asked) if asked in (PROBE_BYTES, RESERVE_BYTES) else no_memory()
    )


@pytest.mark.parametrize(
    ("prepare", "nbytes"),
    [(short, 1), (short, LARGE), (fail_from(PIECE_BYTES), 1), (fail_body, LARGE_BODY)],
    ids=["short", "short-large-body", "probe", "buffer"],
)
def test_each_place_that_refuses_a_put_counts(
    world: World, prepare: Callable[[World], None], nbytes: int
) -> None:
    prepare(world)
    world.client.parser.max_job_size = 2 * LARGE_BODY
    data = b"put 0 0 60 %d\r\n%b\r\n" % (nbytes, bytes(nbytes))
    for start in range(0, len(data), 50_000):
        world.client.receive(data[start : start + 50_000], 0)
    assert world.server.iterate()[world.client] == OUT
    world.check_later()
    assert world.lines == [REFUSED]


def test_limit_has_its_own_lines(world: World) -> None:
    world.memory.set_limit(1000)
    assert [world.put(500), world.put(500), world.put(500)] == [b"INSERTED 1\r\n", OUT, OUT]
    world.check_later()
    refused = "puts are refused: jobs take 900 of 1000 bytes; delete jobs, or raise --max-memory"
    assert world.lines == [refused]
    world.check_later()
    assert world.lines == [refused], "no put fits in the 100 bytes that are left"
    world.memory.set_limit(1300)  # exactly an empty job fits
    world.check_later()
    assert world.lines == [refused, "puts are accepted again; 2 were refused"]


def test_line_about_the_limit_names_bodies_that_are_being_received(world: World) -> None:
    world.memory.set_limit(2000)
    world.client.receive(b"put 0 0 60 1500\r\n" + bytes(700), 0)
    other = world.server.session()
    assert world.server.say(other, b"put 0 0 60 1500", bytes(1500)) == OUT
    world.check_later()
    assert world.lines == [
        "puts are refused: jobs take 0 and bodies that are being received 700 of 2000 bytes; "
        "delete jobs, or raise --max-memory"
    ]


def test_stop_reports_what_no_check_has_seen(world: World) -> None:
    world.memory.set_limit(1000)
    assert [world.put(700), world.put(700)] == [OUT, OUT]
    world.refusals.end(0)
    refused = "puts are refused: jobs take 0 of 1000 bytes; delete jobs, or raise --max-memory"
    assert world.lines == [refused, "2 puts were refused until the stop"]


@pytest.mark.sources
@pytest.mark.parametrize(
    "place", ["beanstalkd_py.binlog.putrecords.NEW_STRUCT", "beanstalkd_py.queue.state.new_job"]
)
def test_put_without_memory_for_record_or_job_counts(
    world: World, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoMemory:
        __init__ = no_memory
        pack = staticmethod(no_memory)

    monkeypatch.setattr(place, NoMemory)
    assert world.put() == OUT
    world.check_later()
    assert world.lines == [REFUSED]
