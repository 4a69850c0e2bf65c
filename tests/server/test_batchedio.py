"""The system calls of a poll batch, both forms: in C, if the extension is built, and in Python."""

from __future__ import annotations

import array
import errno
import select
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest

from beanstalkd_py.server import batchedio
from beanstalkd_py.server.batchedio import BATCHED_BYTES, BUILT, INPUT_BYTES, Events, Received
from beanstalkd_py.server.transport import EVENTS, RECEIVE_BYTES

IN = select.EPOLLIN


class Form:
    """The two functions of one form, and sockets."""

    def __init__(self, stack: ExitStack, in_c: bool) -> None:
        self._stack = stack
        self.receive_ready: Any = batchedio.receive_ready_in_python
        self.send_all: Any = batchedio.send_all_in_python
        if in_c:
            self.receive_ready, self.send_all = batchedio.receive_ready, batchedio.send_all
        self.epoll = stack.enter_context(select.epoll())
        self.receivable = bytearray(4000)

    def pair(self, tcp: bool = False) -> tuple[socket.socket, socket.socket]:
        """The server's side, which is registered and receivable, and the client's side."""
        if tcp:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                theirs = socket.create_connection(listener.getsockname())
                ours, _ = listener.accept()
        else:
            ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._stack.enter_context(ours)
        self._stack.enter_context(theirs)
        self.epoll.register(ours, EVENTS)
        self.receivable[ours.fileno()] = 1
        return ours, theirs

    def ready(self, timeout_ms: int = 0) -> Events:
        found: Events = self.receive_ready(self.epoll, timeout_ms, 0, self.receivable)
        return found

    def received(self, timeout_ms: int = 0) -> list[Received]:
        return [received for _, _, received in self.ready(timeout_ms)]


def left_in(sock: socket.socket) -> bytes:
    found = b""
    with suppress(BlockingIOError):
        while data := sock.recv(RECEIVE_BYTES):
            found += data
    return found


@pytest.fixture(params=["C", "Python"] if BUILT else ["Python"])
def form(request: pytest.FixtureRequest) -> Iterator[Form]:
    with ExitStack() as stack:
        yield Form(stack, request.param == "C")


# --- receive_ready --------------------------------------------------------------------------------


def test_nothing_is_ready(form: Form) -> None:
    form.pair()
    assert form.ready() == []
    assert form.receive_ready(form.epoll, 1, 1, form.receivable) == []


def test_input_comes_in_the_order_of_the_events(form: Form) -> None:
    pairs = [form.pair() for _ in range(5)]
    for number in (3, 0, 4, 1):
        pairs[number][1].send(b"%d" % number)
    expected = [(pairs[number][0].fileno(), IN, b"%d" % number) for number in (3, 0, 4, 1)]
    assert form.ready() == expected
    assert form.ready() == []


def test_wait_ends_with_the_first_event(form: Form) -> None:
    _, theirs = form.pair(tcp=True)
    theirs.send(b"a")
    assert form.received(60_000) == [b"a"]


def test_descriptor_that_is_not_receivable_is_not_read(form: Form) -> None:
    (ours, theirs), (beyond, theirs_2) = form.pair(), form.pair()
    form.receivable[ours.fileno()] = 0
    del form.receivable[beyond.fileno() :]
    theirs.send(b"a")
    theirs_2.send(b"b")
    assert form.ready() == [(ours.fileno(), IN, None), (beyond.fileno(), IN, None)]
    assert (ours.recv(9), beyond.recv(9)) == (b"a", b"b")


def test_end_of_input_without_a_flag_is_received(form: Form) -> None:
    """A socket that is registered without RDHUP."""
    ours, theirs = form.pair()
    form.epoll.modify(ours, IN)
    theirs.shutdown(socket.SHUT_WR)
    assert form.received() == [b""]


def test_input_with_a_hang_up_is_left_to_the_caller(form: Form) -> None:
    ours, theirs = form.pair(tcp=True)
    theirs.send(b"a")
    theirs.shutdown(socket.SHUT_WR)
    events = form.ready(60_000)
    while not events[-1][1] & select.EPOLLRDHUP:  # the byte alone came first
        events += form.ready(60_000)
    assert events[-1] == (ours.fileno(), IN | select.EPOLLRDHUP, None)


def test_urgent_data_is_left_to_the_caller(form: Form) -> None:
    _, theirs = form.pair(tcp=True)
    theirs.send(b"!", socket.MSG_OOB)
    [(_, flags, received)] = form.ready(60_000)
    assert (flags & select.EPOLLPRI, received) == (select.EPOLLPRI, None)


def test_error_of_recv_is_reported(form: Form) -> None:
    """A listener is readable and cannot be received from."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        form.epoll.register(listener, IN)
        form.receivable[listener.fileno()] = 1
        with socket.create_connection(listener.getsockname()):
            assert form.ready(60_000) == [(listener.fileno(), IN, errno.ENOTCONN)]


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "TCP"])
@pytest.mark.parametrize("nbytes", [1, BATCHED_BYTES - 1, BATCHED_BYTES, BATCHED_BYTES + 1])
def test_input_is_received_up_to_a_limit(form: Form, nbytes: int, tcp: bool) -> None:
    """The rest is left in the socket."""
    ours, theirs = form.pair(tcp)
    data = bytes(range(256)) * (nbytes // 256 + 1)
    theirs.sendall(data[:nbytes])
    [received] = form.received(60_000)
    assert isinstance(received, bytes) and received == data[: len(received)]
    assert len(received) == min(nbytes, BATCHED_BYTES)
    assert received + left_in(ours) == data[:nbytes]


def test_receive_stops_at_a_passed_descriptor(form: Form) -> None:
    ours, theirs = form.pair()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0]))
    theirs.sendmsg([b"a" * 5], [rights])
    theirs.send(b"b" * 3)
    [first] = form.received()
    assert isinstance(first, bytes)
    assert first + left_in(ours) == b"a" * 5 + b"b" * 3


def test_batch_receives_a_limited_amount(form: Form) -> None:
    """The caller must receive from the others."""
    count = INPUT_BYTES // BATCHED_BYTES + 8
    pairs = [form.pair() for _ in range(count)]
    for _, theirs in pairs:
        theirs.send(b"x" * (BATCHED_BYTES + 1))
    received = form.received()
    assert received[:-8] == [b"x" * BATCHED_BYTES] * (count - 8)
    assert received[-8:] == [None] * 8
    assert len(left_in(pairs[-1][0])) == BATCHED_BYTES + 1


def test_signal_ends_the_wait_and_its_error_is_raised(form: Form) -> None:
    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    _, theirs = form.pair()
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        with pytest.raises(KeyboardInterrupt):
            form.ready(60_000)
    finally:
        signal.signal(signal.SIGALRM, before)
    theirs.send(b"a")
    assert form.received() == [b"a"]


def test_closed_epoll_is_an_error(form: Form) -> None:
    form.epoll.close()
    with pytest.raises((OSError, ValueError)):
        form.ready()


# --- send_all -------------------------------------------------------------------------------------


def test_pieces_are_sent_in_order(form: Form) -> None:
    (one, one_s), (two, two_s) = form.pair(), form.pair(tcp=True)
    items = [(one.fileno(), b"a", 0), (two.fileno(), b"b", 0), (one.fileno(), b"c", 0)]
    assert form.send_all(items) is None
    assert (one_s.recv(9), two_s.recv(9)) == (b"ac", b"b")
    assert form.send_all([]) is None


def test_any_number_of_pieces_is_sent(form: Form) -> None:
    ours, theirs = form.pair(tcp=True)
    assert form.send_all([(ours.fileno(), b"%4d" % each, None) for each in range(1000)]) is None
    expected = b"".join(b"%4d" % each for each in range(1000))
    assert theirs.recv(len(expected), socket.MSG_WAITALL) == expected


def test_send_stops_at_a_full_socket(form: Form) -> None:
    (full, _), (other, other_s) = form.pair(), form.pair()
    large = b"x" * 10_000_000
    items = [(other.fileno(), b"a"), (full.fileno(), large), (other.fileno(), b"b")]
    index, taken = form.send_all(items)
    assert index == 1 and 0 < taken < len(large)
    assert other_s.recv(9) == b"a"
    assert form.send_all(items[1:]) == (0, 0)


def test_send_stops_at_a_broken_socket(form: Form) -> None:
    """And no SIGPIPE ends the process."""
    (broken, theirs), (other, other_s) = form.pair(), form.pair()
    theirs.close()
    items = [(other.fileno(), b"a"), (broken.fileno(), b"b"), (other.fileno(), b"c")]
    assert form.send_all(items) == (1, 0)
    assert other_s.recv(9) == b"a"


# --- the extension only ---------------------------------------------------------------------------

built = pytest.mark.skipif(not BUILT, reason="the extension is not built")


@pytest.fixture
def in_c() -> Iterator[Form]:
    with ExitStack() as stack:
        yield Form(stack, True)


@built
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        (1, 2, 3),
        ("x", 0, 0, b""),
        (0, "x", 0, b""),
        (0, 0, 0, 5),
        (0, 0, 1 << 80, b""),
        (0, 1 << 32, 0, b""),
    ],
)
def test_wrong_arguments_of_receive_ready_are_refused(in_c: Form, arguments: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        in_c.receive_ready(*arguments)


@built
@pytest.mark.parametrize(
    "items",
    [
        (),
        [1],
        [(1,)],
        [(1, "text")],
        [(1, bytearray(b"x"))],
        [("1", b"x")],
        [(1 << 80, b"x")],
        [(1 << 32, b"x")],
    ],
)
def test_wrong_arguments_of_send_all_are_refused(in_c: Form, items: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        in_c.send_all(items)


def call_without_memory(call: Callable[[], Any], start: int) -> tuple[Any, bool]:
    """The result of a call whose allocation number `start` fails, and whether that raised; then the
    call is repeated, as the server does.
    """
    testcapi = pytest.importorskip("_testcapi")
    testcapi.set_nomemory(start, start + 1)
    try:
        return call(), False
    except MemoryError:
        pass
    finally:
        testcapi.remove_mem_hooks()
    return call(), True


@built
def test_lack_of_memory_loses_no_input(in_c: Form) -> None:
    pairs = [in_c.pair() for _ in range(4)]
    sizes = [1, 3000, 100, BATCHED_BYTES]
    failures = 0
    for start in range(40):
        for (_, theirs), size in zip(pairs, sizes, strict=True):
            theirs.send(b"%c" % start * size)
        events, failed = call_without_memory(in_c.ready, start)
        failures += failed
        for (ours, _), size in zip(pairs, sizes, strict=True):
            assert (ours.fileno(), IN, b"%c" % start * size) in events
    assert failures > 0
    assert in_c.ready() == []


@built
def test_lack_of_memory_sends_nothing_twice(in_c: Form) -> None:
    failures = 0
    for start in range(10):
        (one, one_s), (full, full_s) = in_c.pair(), in_c.pair()
        items = [(one.fileno(), b"a"), (full.fileno(), bytes(1_000_000))]
        (index, taken), failed = call_without_memory(partial(in_c.send_all, items), start)
        failures += failed
        assert (index, one_s.recv(9)) == (1, b"a")
        full_s.setblocking(False)
        found = 0
        while found < taken:
            found += len(full_s.recv(1 << 20))
        assert found == taken
    assert failures > 0
