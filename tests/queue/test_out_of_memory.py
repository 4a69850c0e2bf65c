"""Memory that runs out at the places where it is an outcome: a reply says so, and nothing has
changed.
"""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from testkit.queue_server import QueueServer

from beanstalkd_py.binlog.journal import Binlog
from beanstalkd_py.binlog.records import NEW_STRUCT
from beanstalkd_py.protocol.dispatch import LONG_BODY
from beanstalkd_py.protocol.session import Session
from beanstalkd_py.queue import state
from beanstalkd_py.queue.memory import (
    BODIES_A_PROBE,
    PIECE_BYTES,
    PROBE_BYTES,
    PUTS_A_PROBE,
    RESERVE_BYTES,
    SMALL_BODY,
)
from beanstalkd_py.queue.model import BURIED

OUT = b"OUT_OF_MEMORY\r\n"


class NoCopy:
    """A body that no reply can hold."""

    def __len__(self) -> int:
        return 1

    def __bytes__(self) -> bytes:
        raise MemoryError


class NoMemory:
    """In place of something that allocates."""

    def __init__(self, *arguments: object) -> None:
        raise MemoryError

    pack = classmethod(__init__)


def allocate(nbytes: int) -> bytes:
    raise MemoryError


def counts(server: QueueServer) -> tuple[object, ...]:
    queue = server.queue
    tube = queue.default
    return (
        dict(queue.jobs.items()), queue.ready_count, queue.urgent_count, queue.delayed_count,
        queue.total_jobs, tube.jobs, tube.ready_count, tube.delayed_count, tube.total_jobs,
    )  # fmt: skip


def ids_after_restart(directory: Path) -> list[int]:
    return sorted(QueueServer(directory).queue.jobs)


@pytest.fixture
def server(tmp_path: Path) -> QueueServer:
    return QueueServer(tmp_path)


@pytest.fixture
def client(server: QueueServer) -> Session:
    return server.session()


@pytest.mark.sources
@pytest.mark.parametrize("delay", [0, 5])
def test_put_without_memory_for_the_job_is_taken_back(
    server: QueueServer,
    client: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delay: int,
) -> None:
    """The record is in the log already: a start must not find the job."""
    server.say(client, b"put 0 0 60 1", b"a")
    before = counts(server)
    with monkeypatch.context() as patch:
        patch.setattr(state, "new_job", NoMemory)
        assert server.say(client, b"put 0 %d 60 1" % delay, b"b") == OUT
    assert counts(server) == before
    assert ids_after_restart(tmp_path) == [1]
    assert server.say(client, b"put 0 0 60 1", b"c") == b"INSERTED 3\r\n"
    assert server.say(client, b"delete 3") == b"DELETED\r\n"
    assert server.binlog.usage.live == server.binlog.usage.current.live


@pytest.mark.sources
def test_compaction_for_a_put_that_is_taken_back_finds_no_record_without_a_job(
    server: QueueServer, client: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The DELETE record may need compaction, which expects each live record to belong to a job."""
    server.say(client, b"put 0 0 60 1", b"a")
    seen = []

    def headroom_for_change(binlog: Binlog, nbytes: int) -> bool:
        jobs = server.queue.jobs.values()
        seen.append((binlog.usage.live, sum(job.full_segment.kept(job) for job in jobs)))
        return True

    monkeypatch.setattr(state, "new_job", NoMemory)
    monkeypatch.setattr(Binlog, "headroom_for_change", headroom_for_change)
    server.binlog.headroom.low = 1 << 40
    server.binlog.headroom.put_mark = 0
    assert server.say(client, b"put 0 0 60 1", b"b") == OUT
    assert seen == [(seen[0][1], seen[0][1])]


@pytest.mark.sources
@pytest.mark.parametrize("delay", [0, 5])
def test_put_without_memory_for_an_entry_is_taken_back(
    server: QueueServer,
    client: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    delay: int,
) -> None:
    tube = server.queue.default
    before = counts(server)
    for name in ("add", "push"):
        monkeypatch.setattr(type(tube.ready if name == "add" else tube.delayed), name, NoMemory)
    assert server.say(client, b"put 0 %d 60 1" % delay, b"b") == OUT
    monkeypatch.undo()
    assert counts(server) == before
    assert ids_after_restart(tmp_path) == []
    assert server.say(client, b"put 0 %d 60 1" % delay, b"c") == b"INSERTED 2\r\n"
    server.now += 10 * 1_000_000_000
    server.iterate()
    assert server.say(client, b"reserve-with-timeout 0") == b"RESERVED 2 1\r\nc\r\n"


@pytest.mark.sources
def test_put_without_memory_for_its_record_changes_nothing(
    server: QueueServer, client: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, lsn = counts(server), server.binlog.log.lsn
    with monkeypatch.context() as patch:
        patch.setattr("beanstalkd_py.binlog.putrecords.NEW_STRUCT", NoMemory)
        assert server.say(client, b"put 0 0 60 1", b"b") == OUT
    assert (counts(server), server.binlog.log.lsn) == (before, lsn)
    assert NEW_STRUCT.size == 24


@pytest.mark.sources
@pytest.mark.parametrize("place", ["record", "ids"])
def test_long_put_without_memory_is_refused(
    server: QueueServer,
    client: Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """For its record, and for its id in the usage of the segment."""

    class NoArray(array):  # type: ignore[type-arg]
        append = NoMemory

    body = bytes(LONG_BODY + 1)
    client.parser.max_job_size = len(body)
    line = b"put 0 0 60 %d" % len(body)
    before = counts(server)
    with monkeypatch.context() as patch:
        if place == "record":
            patch.setattr("beanstalkd_py.binlog.putrecords.NEW_STRUCT", NoMemory)
        else:
            patch.setattr("beanstalkd_py.binlog.usage.array", NoArray)  # of the next segment
        assert server.say(client, line, body) == OUT
    assert counts(server) == before
    assert ids_after_restart(tmp_path) == []
    assert server.say(client, line, body) == b"INSERTED 2\r\n"


def test_put_is_refused_until_the_memory_reserve_is_back() -> None:
    server = QueueServer()
    client, memory = server.session(), server.queue.memory
    assert server.say(client, b"put 0 0 60 1", b"a") == b"INSERTED 1\r\n"
    memory.allocate = allocate
    memory.release()
    assert server.say(client, b"put 0 0 60 1", b"a") == OUT
    assert server.say(client, b"stats").startswith(b"OK ")
    memory.allocate = bytes
    assert server.say(client, b"put 0 0 60 1", b"a") == b"INSERTED 3\r\n"
    assert not memory.short


@pytest.mark.parametrize(
    ("missing", "reply"), [(1, OUT), (0, b"INSERTED 3\r\n")], ids=["too little", "enough"]
)
def test_put_after_a_lack_of_memory_leaves_reserve_and_probe(missing: int, reply: bytes) -> None:
    """Else the next PUTS_A_PROBE puts could use memory to its end."""
    server = QueueServer()
    client, memory = server.session(), server.queue.memory
    free = RESERVE_BYTES + PROBE_BYTES - missing

    class Block(bytes):
        def __del__(self) -> None:
            nonlocal free
            free += len(self)

    def limited(nbytes: int) -> bytes:
        nonlocal free
        if nbytes > free:
            raise MemoryError
        free -= nbytes
        return Block(nbytes)

    memory.allocate = limited
    memory.release()
    replies = [server.say(client, b"put 0 0 60 1", b"a") for _ in range(3)]
    assert replies[-1] == reply
    assert memory.short is bool(missing)


def test_free_memory_in_pieces_is_enough_for_puts() -> None:
    """That of deleted jobs may stand between blocks that are still used."""
    server = QueueServer()
    client, memory = server.session(), server.queue.memory

    def pieces(nbytes: int) -> bytes:
        if nbytes > PIECE_BYTES:
            raise MemoryError
        return bytes(nbytes)

    memory.allocate = pieces
    memory.release()
    assert server.say(client, b"put 0 0 60 1", b"a") == b"INSERTED 1\r\n"
    assert not memory.short


@pytest.mark.parametrize("command", [b"reserve", b"reserve-with-timeout 0", b"reserve-job 1"])
def test_reserve_without_memory_for_its_reply_gives_the_job_back(command: bytes) -> None:
    server = QueueServer()
    client = server.session()
    server.say(client, b"put 0 0 60 1", b"a")
    server.queue.jobs[1].body = NoCopy()
    assert server.say(client, command) == OUT
    assert server.queue.memory.short
    assert (server.queue.ready_count, server.queue.reserved_count) == (1, 0)
    server.queue.jobs[1].body = b"a"
    assert server.say(client, command) == b"RESERVED 1 1\r\na\r\n"


def test_batch_without_memory_for_its_reply_gives_all_jobs_back() -> None:
    server = QueueServer()
    client = server.session()
    server.say(client, b"put 0 0 60 1", b"a")
    server.say(client, b"put 0 0 60 1", b"b")
    server.queue.jobs[2].body = NoCopy()
    assert server.say(client, b"reserve-batch 5 0") == OUT
    assert (server.queue.ready_count, server.queue.reserved_count) == (2, 0)
    server.queue.jobs[2].body = b"b"
    batch = b"RESERVED_BATCH 2\r\nRESERVED 1 1\r\na\r\nRESERVED 2 1\r\nb\r\n"
    assert server.say(client, b"reserve-batch 5 0") == batch


def test_reserve_job_without_memory_for_its_reply_leaves_a_buried_job_as_it_is(
    server: QueueServer, client: Session
) -> None:
    server.say(client, b"put 0 0 60 1", b"a")
    server.say(client, b"reserve")
    server.say(client, b"bury 1 0")
    before = server.binlog.log.lsn
    server.queue.jobs[1].body = NoCopy()
    assert server.say(client, b"reserve-job 1") == OUT
    assert server.queue.jobs[1].state == BURIED
    assert server.binlog.log.lsn == before
    server.queue.jobs[1].body = b"a"
    assert server.say(client, b"reserve-job 1") == b"RESERVED 1 1\r\na\r\n"


@pytest.mark.sources
def test_long_reply_is_forgotten_if_the_job_cannot_be_reserved(
    server: QueueServer, client: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.say(client, b"put 0 0 60 1", b"a")
    server.say(client, b"reserve")
    server.say(client, b"bury 1 0")
    server.queue.jobs[1].body = b"x" * (LONG_BODY + 1)
    with monkeypatch.context() as patch:
        patch.setattr(server.binlog, "change", lambda *arguments: False)  # no headroom
        assert server.say(client, b"reserve-job 1") == OUT
    assert server.say(client, b"reserve-job 2") == b"NOT_FOUND\r\n"


def test_waiting_client_without_memory_for_its_reply_gives_the_job_back() -> None:
    server = QueueServer()
    worker, producer = server.session(), server.session()
    server.say(producer, b"put 0 1 60 1", b"a")
    server.queue.jobs[1].body = NoCopy()
    assert server.say(worker, b"reserve") == b""
    server.now += 2 * 1_000_000_000
    assert server.iterate()[worker] == OUT
    assert (server.queue.ready_count, server.queue.reserved_count) == (1, 0)
    assert server.say(worker, b"peek-ready") == OUT


def test_report_without_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    server = QueueServer()
    client = server.session()

    def process() -> object:
        raise MemoryError

    server.dispatcher.process = process  # type: ignore[assignment]
    assert server.say(client, b"stats") == OUT
    assert server.say(client, b"list-tubes") == b"OK 14\r\n---\n- default\n\r\n"


class Heavy(bytes):
    """Input that a session cannot add to what it has, the first few times."""

    failures = 0

    def __radd__(self, before: bytes) -> bytes:
        if self.failures:
            self.failures -= 1
            raise MemoryError
        return before + bytes(self)


@pytest.mark.sources
@pytest.mark.parametrize(("failures", "reply"), [(1, b"INSERTED 1\r\n"), (2, OUT)])
def test_input_without_memory_uses_the_reserve_or_ends_the_session(
    failures: int, reply: bytes
) -> None:
    server = QueueServer()
    client = server.session()
    client.receive(b"put 0", server.now)
    rest = Heavy(b" 0 60 1\r\na\r\n")
    rest.failures = failures
    client.receive(rest, server.now)
    assert server.iterate()[client] == reply
    assert client.closed is (failures == 2)


@pytest.mark.parametrize(
    ("nbytes", "puts"),
    [(1000, PUTS_A_PROBE), (SMALL_BODY + 1, BODIES_A_PROBE // SMALL_BODY), (60_000, 20)],
)
def test_probe_refuses_puts_before_an_allocation_fails(
    server: QueueServer, client: Session, nbytes: int, puts: int
) -> None:
    memory = server.queue.memory
    line = b"put 0 0 60 %d" % nbytes
    assert server.say(client, line, bytes(nbytes)) == b"INSERTED 1\r\n"

    def little(nbytes: int) -> bytes:
        if nbytes >= PIECE_BYTES:
            raise MemoryError
        return bytes(nbytes)

    memory.allocate = little
    accepted = 0
    while server.say(client, line, bytes(nbytes)) != OUT:
        accepted += 1
        assert accepted <= puts
    assert server.say(client, line, bytes(nbytes)) == OUT
    memory.allocate = bytes
    assert server.say(client, b"put 0 0 60 1", b"x").startswith(b"INSERTED")


def test_probe_is_made_seldom(server: QueueServer, client: Session) -> None:
    probes = []

    def counted(nbytes: int) -> bytes:
        probes.append(nbytes)
        return bytes(nbytes)

    server.queue.memory.allocate = counted
    for _ in range(2 * PUTS_A_PROBE):
        server.say(client, b"put 0 0 60 1", b"x")
    assert probes == [PROBE_BYTES] * 2
