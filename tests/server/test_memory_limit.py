"""A server whose system gives no more memory: puts are refused, everything else goes on."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from testkit.daemon import Daemon, DidNotStart
from testkit.start import Start
from testkit.waiting import wait_until

MIB = 1 << 20
MORE = 40 * MIB  # that the server may use beyond what it has when it is ready
BODY = bytes(60_000)
REFUSED = (
    "beanstalkd-py: puts are refused: Cannot allocate memory; "
    "allow more memory (ulimit -v, LimitAS=), or delete jobs\n"
)
OUT = b"OUT_OF_MEMORY\r\n"


def only_refusals(daemon: Daemon) -> bool:
    """Whether the daemon has reported nothing except that it refuses puts or accepts them again."""
    return all(": puts are " in line for line in daemon.errors().splitlines())


def address_space(daemon: Daemon) -> int:
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    return int(status.partition("VmSize:")[2].split()[0]) << 10


@pytest.fixture(params=["memory", "log"])
def daemon(request: pytest.FixtureRequest, start: Start, log: str) -> Daemon:
    daemon = start("-z", "500000000", directory=log if request.param == "log" else None)
    # The limit of `ulimit -v`, for a process that runs.
    size = address_space(daemon) + MORE
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (size, size))
    return daemon


def test_put_that_is_larger_than_memory_is_refused(daemon: Daemon) -> None:
    client, other = daemon.client(), daemon.client()
    nbytes = 2 * MORE
    client.say(b"put 0 0 60 %d\r\n" % nbytes)
    client.say(bytes(nbytes // 2))
    assert other.put(b"x") == 2
    client.say(bytes(nbytes // 2) + b"\r\n")
    assert client.hear() == [OUT]
    assert client.ask(b"peek 2\r\n") == b"FOUND 2 1\r\nx\r\n"
    assert client.put(b"y") == 3
    assert only_refusals(daemon)


def test_full_memory_refuses_puts_and_nothing_else(daemon: Daemon) -> None:
    client = daemon.client()
    put = b"put 0 0 60 %d\r\n%b\r\n" % (len(BODY), BODY)
    ids = []
    while (reply := client.ask(put)) != OUT:
        ids.append(int(reply.split()[1]))
    wait_until(lambda: daemon.errors() == REFUSED, "the operator is told")
    others = [daemon.client() for _ in range(20)]
    for other, id in zip(others, ids, strict=False):
        found = b" %d %d\r\n%b\r\n" % (id, len(BODY), BODY)
        assert other.ask(b"reserve\r\n") == b"RESERVED" + found
        assert other.ask(b"peek %d\r\n" % id) == b"FOUND" + found
        assert other.ask(b"release %d 5 0\r\n" % id) == b"RELEASED\r\n"
        assert other.ask(b"stats\r\n").startswith(b"OK ")
        if (reply := client.ask(put)) != OUT:  # it may find memory that was just freed
            ids.append(int(reply.split()[1]))
    for id in ids:  # a job that stays may divide free memory into pieces that are too small
        assert client.ask(b"delete %d\r\n" % id) == b"DELETED\r\n"
    wait_until(lambda: client.ask(put) != OUT, "puts are accepted again")
    assert only_refusals(daemon)
    assert daemon.stop() == 0


def test_full_memory_loses_no_reply_of_a_pipeline(daemon: Daemon) -> None:
    client = daemon.client()
    pipeline = 700
    refused = 0
    while refused < pipeline:
        client.say(b"put 0 0 60 200\r\n%b\r\n" % bytes(200) * pipeline)
        refused += client.hear(pipeline).count(OUT)
    other = daemon.client()
    assert other.ask(b"peek 1\r\n").startswith(b"FOUND 1 200\r\n")
    assert other.ask(b"list-tubes\r\n").startswith(b"OK ")
    assert only_refusals(daemon)
    assert daemon.stop() == 0


def test_start_without_memory_for_the_jobs_says_so(start: Start, log: str) -> None:
    daemon = start()
    size = address_space(daemon) + 8 * MIB
    daemon.stop()
    daemon = start(directory=log)
    client = daemon.client()
    for _ in range(600):
        client.say(b"put 0 0 60 %d\r\n%b\r\n" % (len(BODY), BODY))
    assert len(client.hear(600)) == 600
    daemon.stop()

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (size, size))

    with pytest.raises(DidNotStart) as refused:
        start(directory=log, before=restrict)
    assert refused.value.status == 71
    (line,) = refused.value.said.splitlines()
    assert "out of memory" in line


def test_automatic_limit_refuses_puts_before_memory_ends(start: Start) -> None:
    nbytes = 300 * MIB

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (nbytes, nbytes))

    daemon = start("--max-memory", "auto", before=restrict)
    client, other = daemon.client(), daemon.client()
    puts = 10
    command = (b"put 0 0 60 %d\r\n%b\r\n" % (len(BODY), BODY)) * puts
    replies: list[bytes] = []
    while OUT not in replies:
        client.say(command)
        replies += client.hear(puts)
    accepted = len([reply for reply in replies if reply != OUT])
    assert accepted * len(BODY) > 100 * MIB
    wait_until(daemon.errors, "the operator is told")
    assert "puts are refused: jobs take " in daemon.errors()
    assert daemon.errors().endswith(" bytes; delete jobs, or raise --max-memory\n")
    assert client.ask(b"delete 1\r\n") == b"DELETED\r\n"
    assert other.put(BODY) > accepted
    assert other.ask(b"reserve\r\n").startswith(b"RESERVED 2 60000\r\n")
    assert only_refusals(daemon)
    assert daemon.stop() == 0
