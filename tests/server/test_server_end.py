"""SIGTERM and SIGINT: an orderly stop. The log has exactly the changes with a reply."""

from __future__ import annotations

import signal
import socket
import threading
from contextlib import suppress
from pathlib import Path

import beanstalkd_wal as wal
import pytest
from testkit.client import Client
from testkit.daemon import Daemon
from testkit.start import Start
from testkit.waiting import wait_until

PUT = b"put 0 0 60 10\r\n0123456789\r\n"


def flood(client: Client, data: bytes) -> threading.Thread:
    """Sends all data, or stops when the connection ends."""

    def send() -> None:
        with suppress(OSError):
            client.say(data)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def slow_client(daemon: Daemon) -> Client:
    """Its TCP keeps thousands of replies that nobody reads, not hundreds of thousands."""
    if isinstance(daemon.address, str):
        return daemon.client()
    connection = socket.socket(socket.AF_INET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
    connection.connect(daemon.address)
    return Client(connection)


def jobs_in(daemon: Daemon) -> int:
    return int(daemon.client().stat(b"current-jobs-ready"))


@pytest.mark.parametrize(
    ("number", "at", "options"),
    [
        (signal.SIGTERM, "127.0.0.1", []),
        (signal.SIGTERM, None, []),
        (signal.SIGINT, None, []),
        (signal.SIGTERM, None, ["-f", "60000"]),
        (signal.SIGTERM, None, ["-F"]),
    ],
)
def test_stop_keeps_exactly_the_puts_that_were_answered(
    start: Start, log: str, number: signal.Signals, at: str | None, options: list[str]
) -> None:
    daemon = start("-b", log, *options, **({"at": at} if at else {}))
    client = daemon.client()
    sender = flood(client, PUT * 300_000)
    first = client.hear_bytes(100_000)
    daemon.send_signal(number)
    answers = first + client.rest()
    sender.join()
    assert daemon.wait_end() == 0
    assert daemon.said() == ""
    count = answers.count(b"\n")
    assert 0 < count < 300_000
    assert answers == b"".join(b"INSERTED %d\r\n" % id for id in range(1, count + 1))
    assert jobs_in(start("-b", log)) == count


@pytest.mark.parametrize("at", ["unix", "127.0.0.1"])
def test_client_that_reads_late_gets_all_replies(start: Start, log: str, at: str) -> None:
    """At the stop there are replies in the server and in both kernels, and commands that the server
    has not received.
    """
    where = {} if at == "unix" else {"at": at}
    daemon = start("-b", log, **where)
    client, other = slow_client(daemon), daemon.client()
    sender = flood(client, PUT * 1_000_000)
    seen = [b"", b"0"]

    def stands_still() -> bool:
        seen.append(other.stat(b"cmd-put"))
        return seen[-1] == seen[-2] == seen[-3] != b"0"

    wait_until(stands_still, "nothing more is read from a client that does not read")
    daemon.send_signal(signal.SIGTERM)
    assert other.rest() == b""  # the server is stopping
    answers = client.rest()
    sender.join()
    client.close()
    assert daemon.wait_end() == 0
    count = answers.count(b"\n")
    assert answers[-20:].endswith(b"INSERTED %d\r\n" % count)
    assert jobs_in(start("-b", log, **where)) == count


def test_client_that_never_reads_delays_the_stop_only_briefly(start: Start, log: str) -> None:
    daemon = start("-b", log, at="127.0.0.1")
    client = daemon.client()
    id = client.put(b"x" * 60_000)
    client.say(b"peek %d\r\n" % id * 1000)
    wait_until(lambda: daemon.client().stat(b"cmd-peek") != b"0", "it peeks")
    assert daemon.stop() == 0
    assert jobs_in(start("-b", log)) == 1


def test_stop_changes_no_job_and_no_pause(start: Start, log: str) -> None:
    """A stop changes neither a reserved job nor the pause of a tube that only its client keeps
    alive, in any order of closing.
    """
    daemon = start("-b", log, at="127.0.0.1")
    holder, waiting = daemon.client(), daemon.client()
    holder.say(
        b"put 0 0 60 60000\r\n%b\r\nreserve\r\nuse paused\r\npause-tube paused 600\r\n"
        % (b"x" * 60_000)
    )
    holder.hear(4)
    waiting.say(b"reserve\r\n")
    wait_until(lambda: holder.stat(b"current-waiting") == b"1", "it waits")
    holder.say(b"peek 1\r\n" * 1000)
    wait_until(lambda: daemon.client().stat(b"cmd-peek") != b"0", "it peeks")
    daemon.send_signal(signal.SIGTERM)
    assert waiting.rest() == b""
    assert holder.rest().startswith(b"FOUND 1 60000\r\n")
    assert daemon.wait_end() == 0
    client = start("-b", log).client()
    assert b"\npause: 600\n" in client.ask(b"stats-tube paused\r\n")
    assert client.ask(b"reserve\r\n").startswith(b"RESERVED 1 ")


def test_stop_takes_no_further_command(start: Start, log: str) -> None:
    """That includes a command that was received, but waits because its client takes no replies."""
    daemon = start("-b", log, at="127.0.0.1")
    client, other = daemon.client(), daemon.client()
    id = client.put(b"x" * 60_000)
    client.say(b"peek %d\r\n" % id * 1000 + PUT)
    wait_until(lambda: other.stat(b"cmd-peek") != b"0", "it peeks")
    daemon.send_signal(signal.SIGTERM)
    assert other.rest() == b""
    answers = client.rest()
    assert answers.endswith(b"x\r\n")
    assert daemon.wait_end() == 0
    assert jobs_in(start("-b", log)) == 1


def test_signals_in_a_row_count_as_one(start: Start, log: str) -> None:
    daemon = start("-b", log)
    daemon.client().put()
    while daemon.is_up():
        daemon.send_signal(signal.SIGTERM)
        daemon.send_signal(signal.SIGINT)
    assert (daemon.wait_end(), daemon.said()) == (0, "")


def test_stop_removes_the_socket_file_and_writes_the_watermark(
    start: Start, log: str, tmp_path: Path
) -> None:
    daemon = start("-b", log)
    daemon.client().put()
    daemon.stop()
    assert not (tmp_path / "socket").exists()
    replay = wal.Replay(log)
    assert [len(frame.records) for frame in replay] == [1, 0]
    assert replay.watermark == replay.next_lsn - 1 == 1
