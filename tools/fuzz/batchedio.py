"""Fuzz the system calls of a poll batch: random steps on unix sockets, with both forms.

The same steps are taken with the functions in Python and with those in C. Each result must be
equal, and no byte may be lost, changed or sent twice. The sockets are full, broken, closed, and
their descriptors are used again. The extension also gets wrong arguments, and lacks memory.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from random import Random
from typing import Any, NamedTuple

from beanstalkd_py.server import batchedio
from beanstalkd_py.server.batchedio import BATCHED_BYTES, BUILT, EVENTS_MAX, INPUT_BYTES, Events

from .count import Count

try:
    import _testcapi  # type: ignore[import-not-found]
except ImportError:
    _testcapi = None

FLAGS = select.EPOLLIN | select.EPOLLPRI | select.EPOLLRDHUP | select.EPOLLET
STEPS = 60
MOST_PAIRS = 300  # more than one poll batch reports
COPIES_AT = 800  # descriptors below are used again
SIZES = (0, 1, 2, 100, BATCHED_BYTES - 1, BATCHED_BYTES, BATCHED_BYTES + 1, 70_000, 3_000_000)
STRANGE_FDS = (-1, 1 << 20, (1 << 31) - 1)
IMPOSSIBLE_FDS = (1 << 31, 1 << 32, (1 << 32) + 1, -1 << 40, 1 << 64)
WRONG: tuple[object, ...] = (None, "1", b"x", 1.5, [], (1,), object())


class Form(NamedTuple):
    receive_ready: Callable[..., Any]
    send_all: Callable[..., Any]
    in_c: bool = False


PYTHON = Form(batchedio.receive_ready_in_python, batchedio.send_all_in_python)
FORMS = [PYTHON]
if BUILT:
    FORMS.append(Form(batchedio.receive_ready, batchedio.send_all, in_c=True))


class Pair:
    """A client's connection: two sockets, and what must come out of each."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.theirs.setblocking(False)
        self.fd = self.ours.fileno()
        self.to_server = bytearray()  # not received yet
        self.to_client = bytearray()


class World:
    """Sockets, and one form of the functions that uses them."""

    def __init__(self, form: Form, rng: Random, stack: ExitStack) -> None:
        self.form = form
        self.rng = rng
        self.stack = stack
        self.epoll = stack.enter_context(select.epoll())
        self.receivable = bytearray()
        self.pairs: list[Pair] = []
        self.open: dict[int, Pair] = {}  # by descriptor of the server's side
        self.results: list[object] = []
        self.nbytes = 0

    # --- steps of the clients

    def connect(self, count: int = 1) -> None:
        for _ in range(min(count, MOST_PAIRS - len(self.open))):
            pair = Pair()
            self.stack.callback(pair.ours.close)
            self.stack.callback(pair.theirs.close)
            self.pairs.append(pair)
            self.open[pair.fd] = pair
            flags = FLAGS if self.rng.randrange(4) else select.EPOLLIN
            self.epoll.register(pair.fd, flags)
            self._set_receivable(pair.fd, self.rng.choice((0, 1, 1, 1, 255)))

    def connect_many(self) -> None:
        self.connect(self.rng.choice((10, 50, MOST_PAIRS)))

    def client_sends(self) -> None:
        self._send(self._any(), self.rng.choice(SIZES))

    def all_clients_send(self) -> None:
        most = self.rng.choice((2, 6, 7))
        for pair in self.open.values():
            self._send(pair, self.rng.choice(SIZES[:most]))

    def client_passes_a_descriptor(self) -> None:
        pair = self._any()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
        with suppress(OSError):
            pair.theirs.sendmsg([b"fd"], [rights])
            pair.to_server += b"fd"

    def client_reads(self) -> None:
        self._read(self._any(), self.rng.choice((1, 1000, 1 << 20)))

    def client_leaves(self) -> None:
        """With unread bytes this is a reset."""
        pair = self._any()
        if self.rng.randrange(2):
            pair.theirs.close()
        else:
            with suppress(OSError):
                pair.theirs.shutdown(
                    self.rng.choice((socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR))
                )

    # --- steps of the server

    def server_closes(self) -> None:
        """Its descriptor is used again. A copy of it keeps the entry in epoll."""
        pair = self._any()
        if self.rng.randrange(3) == 0:
            copy = fcntl.fcntl(pair.fd, fcntl.F_DUPFD, COPIES_AT)
            self.stack.callback(os.close, copy)
        pair.ours.close()
        del self.open[pair.fd]

    def changes_receivable(self) -> None:
        if self.rng.randrange(8):
            self._set_receivable(self._any().fd, self.rng.choice((0, 1, 255)))
        else:
            del self.receivable[self.rng.randrange(100) :]

    def receives(self) -> None:
        polls = self.rng.choice((-1, 0, 1, 3))
        start = self.rng.randrange(60)
        events: Events = self._call(
            start, self.form.receive_ready, self.epoll, 0, polls, self.receivable
        )
        self.results.append(events)
        total = 0
        assert len(events) <= EVENTS_MAX
        for fd, flags, received in events:
            if isinstance(received, bytes):
                assert flags == select.EPOLLIN and any(self.receivable[fd : fd + 1]), "wrong flags"
                assert len(received) <= BATCHED_BYTES
                waiting = self._waiting_at(fd)
                assert waiting.startswith(received), "other bytes than the client sent"
                del waiting[: len(received)]
                total += len(received)
        assert total <= INPUT_BYTES
        self.nbytes += total

    def sends(self) -> None:
        items = []
        for _ in range(self.rng.choice((0, 1, 3, 300, 600))):
            size = self.rng.choice(SIZES[:5] if self.rng.randrange(20) else SIZES)
            fd = self._any().fd if self.rng.randrange(200) else self.rng.choice(STRANGE_FDS)
            items.append((fd, bytes([self.rng.randrange(256)]) * size, None))
        start = self.rng.randrange(8)
        stop = self._call(start, self.form.send_all, items)
        self.results.append(stop)
        index, taken = stop or (len(items), 0)
        for fd, piece, _ in items[:index]:
            assert fd in self.open, "bytes were sent to no socket"
            self.open[fd].to_client += piece
        if taken:
            fd, piece, _ = items[index]
            assert taken < len(piece)
            self.open[fd].to_client += piece[:taken]
        self.nbytes += sum(len(piece) for _, piece, _ in items[:index])

    def gets_wrong_arguments(self) -> None:
        """The result is an error, and nothing is sent."""
        fd, wrong, place, any_fd = (
            self.rng.choice(IMPOSSIBLE_FDS), self.rng.choice(WRONG), self.rng.randrange(4),
            self._any().fd,
        )  # fmt: skip
        self.results.append(_error(self.form.send_all, [(fd, b"x")]))
        if not self.form.in_c:
            return
        arguments: list[object] = [self.epoll, 0, 0, self.receivable]
        arguments[place] = wrong
        if not (place == 3 and isinstance(wrong, bytes)):
            assert _error(self.form.receive_ready, *arguments) in (TypeError, ValueError)
        for items in (wrong, [wrong], [(any_fd, None)], [(wrong, b"x")], [(any_fd, 5, b"x")]):
            assert items == [] or _error(self.form.send_all, items) is TypeError, items

    # --- helpers

    def _waiting_at(self, fd: int) -> bytearray:
        """What can be received from this descriptor. A client may have it now."""
        if fd in self.open:
            return self.open[fd].to_server
        return next(pair.to_client for pair in self.pairs if pair.theirs.fileno() == fd)

    def _set_receivable(self, fd: int, value: int) -> None:
        self.receivable += bytes(max(fd + 1 - len(self.receivable), 0))
        self.receivable[fd] = value

    def _any(self) -> Pair:
        if not self.open:
            self.connect()
        return self.rng.choice(list(self.open.values()))

    def _call(self, start: int, function: Callable[..., Any], *arguments: object) -> Any:
        """In the extension, the allocation number `start` of the call fails, if there are so many.
        The call is then repeated, as the server does.
        """
        if not self.form.in_c or _testcapi is None:
            return function(*arguments)
        _testcapi.set_nomemory(start, start + 1)
        try:
            return function(*arguments)
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()
        return function(*arguments)

    def _send(self, pair: Pair, nbytes: int) -> None:
        data = self.rng.randbytes(min(nbytes, 999)) * (nbytes // 999 + 1)
        with suppress(OSError):
            taken = pair.theirs.send(data[:nbytes])
            pair.to_server += data[:taken]

    def _read(self, pair: Pair, nbytes: int) -> bytes:
        data = b""
        with suppress(OSError):
            data = pair.theirs.recv(nbytes)
            assert pair.to_client.startswith(data), "other bytes than the server sent"
            del pair.to_client[: len(data)]
        return data

    def end(self) -> None:
        """What was sent to a client that is still there arrives, and nothing else."""
        for pair in self.open.values():
            while self._read(pair, 1 << 20):
                pass
        self.results.append([(pair.fd, len(pair.to_client)) for pair in self.open.values()])


ACTIONS = (
    *(World.connect, World.connect_many, World.client_passes_a_descriptor, World.client_leaves),
    *(World.client_sends, World.all_clients_send, World.client_reads, World.client_reads),
    *(World.server_closes, World.changes_receivable, World.gets_wrong_arguments),
    *(World.receives, World.receives, World.receives, World.sends, World.sends),
)


def _error(function: Callable[..., Any], *arguments: object) -> type[Exception] | None:
    try:
        function(*arguments)
    except Exception as error:
        return type(error)
    return None


def play(form: Form, seed: int) -> World:
    rng = Random(seed)
    with ExitStack() as stack:
        world = World(form, rng, stack)
        world.connect(rng.choice((1, 5, 50)))
        for _ in range(STEPS):
            rng.choice(ACTIONS)(world)
        world.receives()
        world.end()
        return world


def run(seed: int, count: Count, forms: Sequence[Form] = FORMS) -> None:
    """Plays the steps of a seed with each form, and compares the results."""
    worlds = [play(form, seed) for form in forms]
    for number, results in enumerate(zip(*[world.results for world in worlds], strict=True)):
        for result in results[1:]:
            assert result == results[0], f"result {number}: {_short(result)}, {_short(results[0])}"
    for world in worlds:
        count.input(world.nbytes)
        count.add("results", len(world.results))


def _short(result: object) -> str:
    return f"{result!r:.300}"
