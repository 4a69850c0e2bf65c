"""Plays every transcript to our server, in two chunkings, and to the C server."""

from __future__ import annotations

import pytest
from judge.cuts import BYTES, WHOLE, Cut
from judge.runner import Mismatch
from judge.transcript import Transcript
from testkit.c_server import find_c_server

from .reference import need_c_server
from .selection import blocks, played_to
from .servers import Kind, Play

Failed = pytest.fail.Exception
C = Kind("c", program=(find_c_server() or "beanstalkd",), is_c=True)
TCP = Kind("tcp")
UNIX_LOGGED = Kind("unix and log", unix=True, logged=True)
SHORT = 2000  # bytes in all; longer transcripts are not played byte by byte


def is_short(transcript: Transcript) -> bool:
    return (
        sum(map(len, blocks(transcript))) <= SHORT and not transcript.waits and not transcript.fresh
    )


def to_server(play_live: Play, kind: Kind, transcript: Transcript, cut: Cut) -> None:
    try:
        play_live(kind, transcript, cut)
    except Mismatch as mismatch:
        raise Failed(f"{mismatch}\n({cut})", pytrace=False) from None


@pytest.mark.parametrize("kind", [TCP], ids=str)
@pytest.mark.parametrize(
    "transcript", [each for each in played_to("daemon") if each.waits or not each.fresh], ids=str
)
def test_daemon(play_live: Play, kind: Kind, transcript: Transcript) -> None:
    """Those that need a new server each are played to one with a log below, and to the queue
    without a log in `test_engine.py`.
    """
    to_server(play_live, kind, transcript, WHOLE)


@pytest.mark.parametrize("kind", [UNIX_LOGGED], ids=str)
@pytest.mark.parametrize(
    "transcript", [each for each in played_to("daemon") if not each.waits], ids=str
)
def test_daemon_with_a_log(play_live: Play, kind: Kind, transcript: Transcript) -> None:
    """The scenarios cover time; they all run with a log."""
    to_server(play_live, kind, transcript, WHOLE)


@pytest.mark.parametrize("kind", [TCP], ids=str)
@pytest.mark.parametrize(
    "transcript", [each for each in played_to("daemon") if is_short(each)], ids=str
)
def test_daemon_byte_by_byte(play_live: Play, kind: Kind, transcript: Transcript) -> None:
    to_server(play_live, kind, transcript, BYTES)


@pytest.mark.parametrize("kind", [C], ids=str)
@pytest.mark.parametrize("transcript", played_to("c"), ids=str)
def test_c_server(play_live: Play, kind: Kind, transcript: Transcript) -> None:
    need_c_server()
    to_server(play_live, kind, transcript, WHOLE)
