"""Noise into the sessions and into the daemon: no exception, well-formed replies only, and a sane server afterwards.

The seed is part of the test's name. `WIRE_FUZZ=500 pytest tests/wire/test_fuzz.py` tries 500 seeds instead of a few.
"""

from __future__ import annotations

import os
from random import Random

import pytest
from judge.cuts import BYTES, WHOLE, Cut, every_cut
from judge.daemon import Daemon
from judge.noise import block
from judge.stream import Malformed, split_replies, take_reply

from .engine_peer import EngineConn, EnginePeer
from .servers import Kind

SEEDS = range(int(os.environ.get("WIRE_FUZZ", "25")))
STEPS = 400
STATS_OF_NOBODY = (
    b"current-jobs-reserved: 0",
    b"current-connections: 1",
    b"current-producers: 0",
    b"current-workers: 0",
    b"current-waiting: 0",
)


def at_random(rng: Random) -> Cut:
    return Cut("at random", lambda data: rng.choice(list(every_cut([data], str(rng.random())))).chunks(data))


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_from_several_clients(seed: int) -> None:
    rng = Random(f"clients {seed}")
    peer = EnginePeer({"-z": 500}, at_random(rng), polite=True)
    conns: list[EngineConn] = []
    for _ in range(STEPS):
        conns = [conn for conn in conns if conn.open]
        if len(conns) < 4:
            conns.append(peer.open())
        conn = rng.choice(conns)
        act(rng, peer, conn)
        for conn in conns:
            split_replies(conn.rest())
    for conn in conns:
        peer.polite = rng.random() < 0.5
        if conn.open:
            conn.close()
    check_engine(peer)


def act(rng: Random, peer: EnginePeer, conn: EngineConn) -> None:
    what = rng.random()
    if what < 0.85:
        conn.send(block(rng))
    elif what < 0.93:
        peer.advance(rng.choice([0.0, 0.1, 1.0, 30.0, 5000.0]))
    elif what < 0.97:
        conn.shutdown()
        assert not conn.open, "the session goes on after the end of input"
    else:
        peer.polite = rng.random() < 0.5
        conn.close()


def check_engine(peer: EnginePeer) -> None:
    """With all clients gone, nobody holds, waits or is counted, and every job can be deleted."""
    conn = peer.open()
    conn.send(b"stats\r\n")
    (stats,) = conn.read(1)
    lines = stats.split(b"\n")
    assert [line for line in STATS_OF_NOBODY if line not in lines] == []
    for job in sorted(peer.engine.jobs):
        conn.send(b"delete %d\r\n" % job)
        assert conn.read(1) == [b"DELETED\r\n"]
    peer.advance(2**33)
    conn.send(b"list-tubes\r\n")
    assert conn.read(1) == [b"OK 14\r\n---\n- default\n\r\n"]


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_means_the_same_however_it_is_cut(seed: int) -> None:
    rng = Random(f"cuts {seed}")
    stream = b"".join(block(rng) for _ in range(60))
    whole = answers(stream, WHOLE)
    for cut in [BYTES, *(at_random(rng) for _ in range(3))]:
        assert answers(stream, cut) == whole, cut


def answers(stream: bytes, cut: Cut) -> list[bytes]:
    """What a client gets for the stream when it is alone and no time passes."""
    peer = EnginePeer({"-z": 500}, cut, polite=True, turn=0)
    conn = peer.open()
    conn.send(stream)
    if conn.open:
        conn.shutdown()
    return split_replies(conn.rest())


@pytest.mark.parametrize("kind", [Kind("tcp"), Kind("unix and log", unix=True, logged=True)], ids=str)
def test_the_daemon_stands_noise(kind: Kind) -> None:
    with kind.running({"-z": 500}) as daemon:
        for seed in SEEDS:
            send_noise(daemon, Random(f"daemon {seed}"))
            assert daemon.is_up(), f"seed {seed}: {daemon.said()!r}"
            check_daemon(daemon, seed)
        assert daemon.said() == b""


def send_noise(daemon: Daemon, rng: Random) -> None:
    with daemon.connect() as connection:
        connection.settimeout(5.0)
        cut = at_random(rng)
        try:
            for _ in range(60):
                for chunk in cut.chunks(block(rng)):
                    connection.sendall(chunk)
            connection.shutdown(1)
            data = b""
            while chunk := connection.recv(1 << 16):
                data += chunk
        except (BrokenPipeError, ConnectionResetError):
            return  # `quit` was among the noise
        while taken := take_reply(data):
            data = taken[1]
        assert data == b"", f"an unfinished reply: {data!r}"


def check_daemon(daemon: Daemon, seed: int) -> None:
    with daemon.connect() as connection:
        connection.settimeout(5.0)
        connection.sendall(b"use clean\r\nput 0 0 60 5\r\nhello\r\npeek-ready\r\nkick 1000\r\nquit\r\n")
        data = b""
        while chunk := connection.recv(1 << 16):
            data += chunk
    assert b"hello" in data and data.startswith(b"USING clean\r\nINSERTED "), f"seed {seed}: {data!r}"


def test_the_checks_can_fail() -> None:
    peer = EnginePeer({}, WHOLE, polite=True)
    holder = peer.open()
    holder.send(b"put 0 0 1 1\r\nx\r\nreserve\r\n")
    with pytest.raises(AssertionError, match="current-jobs-reserved"):
        check_engine(peer)
    with pytest.raises(Malformed):
        split_replies(b"RESERVED 1\r\n")
