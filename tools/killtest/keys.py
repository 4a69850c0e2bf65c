"""python -m killtest.keys: thousands of clients put the same unique keys, and the server is killed
in between. Each key is in the tube once.

In a round each client sends puts of some of the keys at once. The server is killed, started again,
and each client repeats the puts that have no reply. All replies about a key must name one job, and
at most one of them says that it is new. In the end this job is there, and no other. Then the tube
is emptied, which frees the keys for the next round.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import select
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from random import Random

from testkit.daemon import INSTALLED, Daemon, DidNotStart
from testkit.waiting import HANG_S

from .conversation import Closed, Conversation
from .fault import Fault
from .kill_points import after
from .rounds import MODES, Killer

CLIENTS, KEYS, PUTS, ROUNDS = 10_000, 100, 10, 10
SPARE = 200  # descriptors for everything except connections
SEGMENT = ("-s", "65536")  # so that there are rotations and compaction
TUBE = b"keys"
KILL_WITHIN_S = 4e-6  # for each put of a round: about the time that a put takes
RECEIVE_BYTES = 1 << 16
_JOB = re.compile(r'^- id: (\d+)\n(?:  .*\n)*?  key: "(.*)"\n', re.MULTILINE)


def put(number: int) -> bytes:
    return b"put-with 0 0 60 1 tube=%b key=key-%d\r\nx\r\n" % (TUBE, number)


class Connection:
    """todo: the keys of the client whose puts have no reply yet."""

    def __init__(self, number: int, opened: socket.socket, todo: deque[int]) -> None:
        self.number = number
        self.socket = opened
        self.todo = todo
        self.rest = b""
        opened.setblocking(False)


class Keys:
    """clients, keys, puts: how many clients there are, how many keys, and how many of them each
    client puts.
    """

    def __init__(
        self, daemon: Daemon, seed: int, clients: int = CLIENTS, keys: int = KEYS, puts: int = PUTS
    ) -> None:
        self.daemon = daemon
        self.rng = Random(seed)
        self.answers = 0
        self.killed_early = 0  # rounds in which some puts had no reply yet
        self._clients = clients
        self._keys = keys
        self._puts = puts
        self._ids: dict[int, int] = {}  # the job of each key, as replies say
        self._new: set[int] = set()  # keys of which a reply said INSERTED

    def round(self) -> None:
        """Raises Fault."""
        rng = self.rng
        todo = [deque(rng.sample(range(self._keys), self._puts)) for _ in range(self._clients)]
        wanted = {key for each in todo for key in each}
        self._ids.clear()
        self._new.clear()
        if not self.daemon.is_up():
            self._start()
        connections = self._connect(todo)
        longest_s = KILL_WITHIN_S * self._clients * self._puts
        with Killer(after(longest_s * rng.random() ** 2), self.daemon):
            self._talk(connections)
        self.killed_early += any(todo)
        self._start()
        self._talk(self._connect(todo))
        if any(todo):
            raise Fault(f"{sum(map(len, todo))} puts have no reply")
        self._check(wanted)

    def _start(self) -> None:
        self.daemon.start((*SEGMENT, *self.rng.choice(MODES)))

    def _connect(self, todo: Sequence[deque[int]]) -> list[Connection]:
        """A connection for each client that has something to do, in random order."""
        numbers = [number for number, keys in enumerate(todo) if keys]
        self.rng.shuffle(numbers)
        return [Connection(number, self.daemon.connect(), todo[number]) for number in numbers]

    def _talk(self, connections: Sequence[Connection]) -> None:
        """Returns when all puts have a reply, or the server has ended."""
        poll = select.epoll()
        by_descriptor = {each.socket.fileno(): each for each in connections}
        try:
            for descriptor in by_descriptor:
                poll.register(descriptor, select.EPOLLIN)
            for connection in connections:
                try:
                    connection.socket.send(b"".join(map(put, connection.todo)))
                except ConnectionError:
                    break  # the server is killed; what it sent can still be read
            while by_descriptor:
                events = poll.poll(HANG_S)
                if not events:
                    raise Fault(f"no reply for {HANG_S:.0f} s to {len(by_descriptor)} clients")
                for descriptor, _ in events:
                    if not self._receive(by_descriptor[descriptor]):
                        poll.unregister(descriptor)
                        del by_descriptor[descriptor]
        finally:
            poll.close()
            for connection in connections:
                connection.socket.close()

    def _receive(self, connection: Connection) -> bool:
        """False if nothing more will come."""
        try:
            data = connection.socket.recv(RECEIVE_BYTES)
        except ConnectionError:
            return False
        *lines, connection.rest = (connection.rest + data).split(b"\r\n")
        for line in lines:
            self._take(connection, line)
        return bool(data and connection.todo)

    def _take(self, connection: Connection, line: bytes) -> None:
        word, _, id = line.partition(b" ")
        if word not in (b"INSERTED", b"EXISTS") or not connection.todo:
            raise Fault(f"client {connection.number}: {line!r}")
        self.answers += 1
        key = connection.todo.popleft()
        if self._ids.setdefault(key, int(id)) != int(id):
            raise Fault(f"key {key} of job {self._ids[key]}: {line!r}")
        if word == b"INSERTED":
            if key in self._new:
                raise Fault(f"key {key}: {line!r} twice")
            self._new.add(key)

    def _check(self, wanted: set[int]) -> None:
        """Each key is in the tube once. Then empties the tube, which frees the keys."""
        with Conversation(self.daemon.connect()) as server:
            count = server.stats(b"stats-tube " + TUBE)["current-jobs-ready"]
            (listed,) = server.ask(b"list-jobs %b ready 1000" % TUBE)
            found = {int(id): key for id, key in _JOB.findall(listed.data.decode())}
            expected = {id: f"key-{key}" for key, id in self._ids.items()}
            if found != expected or int(count) != len(wanted) or self._ids.keys() != wanted:
                raise Fault(f"{count} jobs, {found}, and replies said {expected}")
            (reply,) = server.say(b"truncate " + TUBE)
            if reply != f"TRUNCATED {count}":
                raise Fault(f"{reply} to truncate of {count} jobs")


def main() -> int:
    chosen = _chosen()
    print(f"--seed {chosen.seed} --program {chosen.program}", flush=True)
    clients = min(chosen.clients, _raise_limit() - SPARE)
    end_at = None if chosen.seconds is None else time.monotonic() + chosen.seconds
    rounds = 0
    with (
        tempfile.TemporaryDirectory(prefix="killtest.") as directory,
        Daemon(directory=directory, program=(chosen.program,)) as daemon,
    ):
        keys = Keys(daemon, chosen.seed, clients)
        while rounds < chosen.rounds if end_at is None else time.monotonic() < end_at or not rounds:
            rounds += 1
            try:
                keys.round()
            except (Fault, Closed, DidNotStart, OSError) as error:
                print(f"round {rounds}: {error!r:.2000}\n{daemon.errors()}", file=sys.stderr)
                print(
                    f"repeat: PYTHONPATH=.:wal:tools .venv/bin/python -m killtest.keys "
                    f"--seed {chosen.seed} --rounds {rounds} --clients {clients}",
                    file=sys.stderr,
                )
                return 1
    print(
        f"killtest.keys: seed {chosen.seed}, {rounds} kills, {keys.killed_early} with puts without "
        f"a reply, {clients} clients, {KEYS} keys, {keys.answers} answers, ok"
    )
    return 0


def _chosen() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="killtest.keys", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().getrandbits(31), help="default: random"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, help="in place of --rounds: begin none afterwards")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="default: %(default)s")
    parser.add_argument("--program", default=INSTALLED[0], help="the server (default: %(default)s)")
    return parser.parse_args()


def _raise_limit() -> int:
    """As many descriptors as the system permits. Returns their number."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


if __name__ == "__main__":
    sys.exit(main())
