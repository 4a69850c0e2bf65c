"""Plays a transcript to a peer and compares every byte it receives, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from testkit.replies import Malformed

from .transcript import Expected, Step, Transcript, World


class Conn(Protocol):
    open: bool

    def send(self, block: bytes) -> None: ...
    def read(self, count: int) -> list[bytes]: ...
    def read_to_eof(self) -> list[bytes]: ...
    def rest(self) -> bytes: ...
    def shutdown(self) -> None: ...
    def close(self) -> None: ...


AConn = TypeVar("AConn", bound=Conn)


class Peer(Protocol[AConn]):
    world: World

    def open(self) -> AConn: ...
    def sync(self, idle: AConn | None) -> None: ...
    def advance(self, seconds: float) -> None: ...
    def drain(self) -> None: ...
    def restart(self) -> None: ...
    def set_wall_clock(self, seconds: float) -> None: ...
    def stop(self) -> None: ...


class Mismatch(AssertionError):
    """The server did not send what the transcript expects."""


def play(transcript: Transcript, peer: Peer[AConn]) -> None:
    try:
        _Play(transcript, peer).run()
    finally:
        peer.stop()


class _Play(Generic[AConn]):
    def __init__(self, transcript: Transcript, peer: Peer[AConn]) -> None:
        self.transcript = transcript
        self.peer = peer
        self.conns: dict[str, AConn] = {}
        self.busy: set[str] = (
            set()
        )  # waiting, half-closed, or in the middle of a command: these cannot be synchronised

        self.ended: set[str] = set()  # clients whose connection has ended as expected

    def run(self) -> None:
        for name in self.transcript.early:
            self.conns[name] = self.peer.open()
        for step in self.transcript.steps:
            self.do(step)
            self.note_busy(step)
            self.check(step)
        self.check_silence(self.transcript.steps[-1], set())

    def do(self, step: Step) -> None:
        if step.verb == "send":
            self.conns[step.name].send(step.data(self.peer.world))
        elif step.verb == "open":
            self.conns[step.name] = self.peer.open()
        elif step.verb == "shutdown":
            self.conns[step.name].shutdown()
        elif step.verb == "close":
            self.conns[step.name].close()
            self.ended.add(step.name)
        elif step.verb == "wait":
            self.peer.advance(step.seconds)
        elif step.verb == "clock":
            self.peer.set_wall_clock(step.seconds)
        elif step.verb == "restart":
            self.peer.restart()
            self.ended.update(self.conns)
        else:
            assert step.verb == "drain"
            self.peer.drain()

    def note_busy(self, step: Step) -> None:
        if step.verb == "send" and step.name not in step.expected:
            self.busy.add(step.name)
        if step.verb == "shutdown":
            self.busy.add(step.name)
        for name, expected in step.expected.items():
            if expected.waits:
                self.busy.add(name)
            elif step.verb != "shutdown":
                self.busy.discard(name)

    def check(self, step: Step) -> None:
        for name, expected in step.expected.items():
            self.compare(step, name, expected)
        self.check_silence(step, set(step.expected))

    def compare(self, step: Step, name: str, expected: Expected) -> None:
        conn = self.conns[name]
        try:
            got = conn.read_to_eof() if expected.eof else conn.read(len(expected.replies))
        except Malformed as malformed:
            raise Mismatch(f"{self.place(step)}: {name} received {malformed}") from None
        wanted = expected.replies
        matches = [
            reply.matches(data, self.peer.world) for reply, data in zip(wanted, got, strict=False)
        ]
        if len(got) != len(wanted) or not all(matches):
            texts = [reply.text() for reply in wanted]
            raise Mismatch(
                f"{self.place(step)}: {name} must receive\n{_listed(texts)}\n"
                f"but received\n{_listed(got)}"
            )
        if expected.eof:
            self.ended.add(name)
            if conn.open:
                raise Mismatch(f"{self.place(step)}: the server did not close {name}")

    def check_silence(self, step: Step, spoken: set[str]) -> None:
        """No other client may have received anything.

        Synchronises first, so that a live server has had time to send.
        """
        self.peer.sync(
            next(
                (conn for name, conn in self.conns.items() if conn.open and name not in self.busy),
                None,
            )
        )
        for name, conn in self.conns.items():
            rest = conn.rest()
            if rest:
                raise Mismatch(
                    f"{self.place(step)}: {name} received {rest!r}"
                    + (" more" if name in spoken else " unexpectedly")
                )
            if name not in self.ended and not conn.open:
                raise Mismatch(f"{self.place(step)}: the server closed {name}")

    def place(self, step: Step) -> str:
        return f"{self.transcript.path.name}:{step.line}"


def _listed(items: Sequence[object]) -> str:
    return "\n".join(f"  {item!r}" for item in items) or "  nothing"
