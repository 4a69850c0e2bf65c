"""How connections end, and what happens to their jobs, tubes and descriptors."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from testkit.start import Start
from testkit.waiting import HANG_S, wait_until


@pytest.mark.parametrize("at", ["unix", "127.0.0.1"])
def test_job_passes_hundreds_of_dead_waiting_clients(start: Start, at: str) -> None:
    """The server detects each dead client only when it delivers the job to that client."""
    daemon = start(**({} if at == "unix" else {"at": at}))
    producer = daemon.client()
    dead = [daemon.client() for _ in range(500)]
    for worker in dead:
        worker.say(b"reserve\r\n")
    alive = daemon.client()
    alive.say(b"reserve\r\n")
    wait_until(lambda: producer.stat(b"current-waiting") == b"501", "all wait")
    with daemon.stopped():
        producer.say(b"put 0 0 60 1\r\nx\r\n")
        for worker in dead:
            worker.close() if at == "unix" else worker.reset()
    assert alive.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    assert producer.hear() == [b"INSERTED 1\r\n"]
    assert producer.stat(b"current-connections") == b"2"
    assert daemon.said() == ""


def test_server_never_spins_whatever_clients_do(start: Start) -> None:
    daemon = start(at="127.0.0.1")
    asker = daemon.client()
    asker.put(b"x" * 60_000)
    clients = [daemon.client() for _ in range(9)]
    for client in clients:
        client.ask(b"watch nothing\r\n")
        client.ask(b"ignore default\r\n")
    clients[0].socket.send(b"!", socket.MSG_OOB)
    clients[1].say(b"reserve\r\n")
    clients[1].socket.send(b"!", socket.MSG_OOB)
    for end, client in zip(("", "half_close", "reset"), clients[2:5], strict=True):
        client.say(b"peek 1\r\n" * 1000)  # and takes no reply
        assert client.socket.recv(1, socket.MSG_PEEK) == b"F"  # it waits for that
        if end:
            getattr(client, end)()
    for end, client in zip(("", "half_close", "reset"), clients[5:8], strict=True):
        client.say(b"reserve\r\n" + b"list-tube-used\r\n" * 20_000)
        if end:
            getattr(client, end)()
    clients[8].say(b"put 0 0 60 100\r\nx")
    served = daemon.client()  # it was ahead, and is no longer
    served.say(b"watch own\r\nignore default\r\nreserve\r\n" + b"peek 1\r\n" * 20_000)
    served.hear(2)
    asker.ask(b"use own\r\n")
    wait_until(lambda: b"\ncurrent-waiting: 1\n" in asker.ask(b"stats-tube own\r\n"), "it waits")
    asker.put()
    assert served.hear() == [b"RESERVED 3 1\r\nx\r\n"]
    served.half_close()
    assert asker.ask(b"list-tube-used\r\n") == b"USING own\r\n"
    assert not daemon.spins()
    assert asker.ask(b"list-tube-used\r\n") == b"USING own\r\n"
    assert daemon.said() == ""


@pytest.mark.parametrize("options", [[], ["-b"], ["-b", "-f50"]])
def test_half_closed_client_gets_all_its_replies(
    start: Start, log: str, options: list[str]
) -> None:
    daemon = start(
        *[word for option in options for word in ((option, log) if option == "-b" else (option,))]
    )
    client = daemon.client()
    client.say(b"put 0 0 60 1\r\nx\r\n" * 3000 + b"reserve\r\nreserve\r\n" * 1500)
    client.half_close()
    answers = client.rest()
    assert answers == b"".join(
        [b"INSERTED %d\r\n" % id for id in range(1, 3001)]
        + [b"RESERVED %d 1\r\nx\r\n" % id for id in range(1, 3001)]
    )
    assert daemon.client().ask(b"reserve\r\n") == b"RESERVED 1 1\r\nx\r\n"


SLOW_SYNC = """
import os, sys, time
from beanstalkd_py import cli
from beanstalkd_wal.fs import FileSystem

sync = FileSystem.sync

def slow(self, handle):
    while os.path.exists("%s"):
        time.sleep(0.002)
    sync(self, handle)

FileSystem.sync = slow
sys.exit(cli.main(["slow", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
def test_client_lost_before_the_sync_has_reserved_nothing(
    start: Start, log: str, tmp_path: Path, end: str
) -> None:
    stop = tmp_path / "stop"
    daemon = start("-b", log, at="127.0.0.1", program=(sys.executable, "-c", SLOW_SYNC % stop))
    producer, vanishing, waiting, watcher = (daemon.client() for _ in range(4))
    watcher.ask(b"list-tube-used\r\n")
    stop.touch()
    vanishing.say(b"reserve\r\n")
    waiting.say(b"watch nothing\r\n")
    waiting.hear()
    wait_until(lambda: watcher.stat(b"current-waiting") == b"1", "it waits")
    with daemon.stopped():  # both events come in one poll batch: the commit is not inline
        producer.say(b"put 0 0 60 1\r\nx\r\n")
        waiting.say(b"reserve\r\n")
    for client in (producer, vanishing, waiting, watcher):
        client.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)  # no client gets the job
        client.socket.settimeout(HANG_S)
    before = daemon.descriptors()
    getattr(vanishing, end)()
    if end == "reset":
        wait_until(lambda: daemon.descriptors() < before, "it is gone")
    elif end == "half_close":
        assert not daemon.spins()
    stop.unlink()
    assert producer.hear() == [b"INSERTED 1\r\n"]
    assert waiting.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    if end == "half_close":
        assert vanishing.rest() == b"RESERVED 1 1\r\nx\r\n"
    assert b"\nreserves: 2\n" in watcher.ask(b"stats-job 1\r\n")
    wait_until(lambda: watcher.stat(b"current-connections") == b"3", "it is gone")
    assert daemon.said() == ""


def test_incomplete_body_makes_no_job(start: Start, log: str) -> None:
    daemon = start("-b", log, at="127.0.0.1")
    watcher = daemon.client()
    for end in ("close", "half_close", "reset"):
        client = daemon.client()
        client.say(b"put 0 0 60 100\r\n" + b"x" * 101)
        wait_until(lambda: watcher.stat(b"current-producers") == b"1", "it uploads")
        getattr(client, end)()
        wait_until(lambda: watcher.stat(b"current-connections") == b"1", "it is gone")
    assert watcher.stat(b"total-jobs") == b"0"
    assert watcher.stat(b"binlog-records-written") == b"0"
    assert watcher.put() == 4  # each of them took its id


def test_killed_worker_gives_back_its_jobs_and_stops_waiting(start: Start, tmp_path: Path) -> None:
    daemon = start()
    watcher = daemon.client()
    script = (
        "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        "s.send(b'reserve\\r\\n' * 2); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, f"{tmp_path}/socket"]) as worker:
        watcher.put()
        wait_until(
            lambda: (
                (watcher.stat(b"current-jobs-reserved"), watcher.stat(b"current-waiting"))
                == (b"1", b"1")
            ),
            "it works",
        )
        watcher.say(b"reserve\r\n")
        worker.kill()
    assert watcher.hear() == [b"RESERVED 1 1\r\nx\r\n"]
    assert watcher.stat(b"current-waiting") == b"0"


CLOSES_OTHERS = """
import sys
from beanstalkd_py import cli
from beanstalkd_py.server.connection import Connection

begin = Connection.__init__
on_event = Connection.on_event
made = []

def noted(self, *arguments):
    begin(self, *arguments)
    made.append(self)

def closing(self, event, received):
    on_event(self, event, received)
    if self.session.client.used.name == b"closing":
        for other in made:
            if other is not self:
                other.close()

Connection.__init__ = noted
Connection.on_event = closing
sys.exit(cli.main(["closes", *sys.argv[1:]]))
"""


@pytest.mark.sources
def test_reused_descriptor_gets_no_event_of_the_closed_one(start: Start) -> None:
    """In one poll batch, a command makes the server close a connection, a new connection gets the
    same descriptor, and then comes the event of the closed one.
    """
    daemon = start(at="127.0.0.1", program=(sys.executable, "-c", CLOSES_OTHERS))
    closer, closed = daemon.client(), daemon.client()
    closed.ask(b"list-tube-used\r\n")
    with daemon.stopped():
        closer.say(b"use closing\r\n")
        comes = daemon.client()
        closed.reset()
    closer.hear()
    closer.ask(b"use default\r\n")
    comes.say(b"reserve\r\n")
    wait_until(lambda: closer.stat(b"current-waiting") == b"1", "it waits")
    comes.say(b"list-tube-used\r\n" * 6000)  # more than is read ahead: now a hang-up would count
    closer.stat(b"pid")
    closer.put()
    assert comes.hear() == [b"RESERVED 1 1\r\nx\r\n"]
