"""Writing to a stderr that nobody reads: a full pipe, a full socket, a closed one."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace

import pytest

from beanstalkd_py.host import stderr as stderr_module
from beanstalkd_py.host.stderr import Stderr


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for fd in read, write:
        with suppress(OSError):
            os.close(fd)


def fill(stderr: Stderr, line: str = "x" * 99) -> int:
    """How many lines went in."""
    count = 0
    while stderr.write(f"{line}\n"):
        count += 1
    return count


def contents(read: int) -> str:
    found = b""
    with suppress(BlockingIOError):
        while data := os.read(read, 1 << 20):
            found += data
    return found.decode()


@pytest.fixture(autouse=True)
def no_write_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that would block fails the test, and does not hang it."""

    def write(fd: int, data: bytes) -> int:
        assert not os.get_blocking(fd) or select.select([], [fd], [], 0.0)[1], "the write blocks"
        return os.write(fd, data)

    monkeypatch.setattr(stderr_module, "os", SimpleNamespace(write=write))


@pytest.mark.parametrize("blocking", [True, False])
def test_full_pipe_takes_no_line_and_does_not_block(ends: tuple[int, int], blocking: bool) -> None:
    read, write = ends
    os.set_blocking(write, blocking)
    stderr = Stderr(write)
    count = fill(stderr)
    assert not stderr.write("lost\n")
    lines = contents(read).split("\n")
    assert len(lines) - 1 == count > 100 and set(lines[:-1]) == {"x" * 99} and lines[-1] == ""
    assert stderr.write("later\n")
    assert contents(read) == "later\n"


def test_file_on_a_full_disk_takes_no_line() -> None:
    """The lines are counted, and the operator hears of it when there is space again."""
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        assert not Stderr(full).write("lost\n")
    finally:
        os.close(full)


def test_full_socket_takes_no_line_and_does_not_block() -> None:
    """The journal's stream is a socket."""
    near, far = socket.socketpair()
    with near, far:
        stderr = Stderr(near.fileno())
        assert fill(stderr) > 10
        assert not stderr.write("lost\n")


def test_line_that_was_cut_does_not_spoil_the_next(ends: tuple[int, int]) -> None:
    """A line longer than a page is written in pieces, and the pipe may be full after one."""
    read, write = ends
    stderr = Stderr(write)
    size = 300_000
    assert not stderr.write("y" * size + "\n")
    cut = contents(read)
    assert set(cut) == {"y"} and len(cut) < size
    assert stderr.write("later\n")
    assert stderr.write("and more\n")
    assert contents(read) == "\nlater\nand more\n"


def test_reader_that_is_late_gets_the_line_of_a_writer_that_waits(ends: tuple[int, int]) -> None:
    read, write = ends
    stderr = Stderr(write)
    fill(stderr)
    assert not stderr.write("lost\n", 0.001)
    contents(read)
    assert stderr.write("last\n", 60.0)


def test_line_is_written_in_utf8(ends: tuple[int, int]) -> None:
    read, write = ends
    assert Stderr(write).write("\N{EURO SIGN}\n")
    assert os.read(read, 99) == b"\xe2\x82\xac\n"


def test_stderr_that_is_closed_counts_as_written(ends: tuple[int, int]) -> None:
    """Nobody will ever read a count of lost lines."""
    read, write = ends
    stderr = Stderr(write)
    os.close(read)
    assert stderr.write("nobody hears it\n")
    os.close(write)
    assert stderr.write("nobody hears it\n")
