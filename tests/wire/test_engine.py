"""Plays every transcript to the queue and its sessions, in every chunking, without sockets."""

from __future__ import annotations

import pytest
from judge.cuts import every_cut
from judge.runner import Mismatch, play
from judge.transcript import Transcript

from .engine_peer import EnginePeer
from .selection import blocks, played_to


@pytest.mark.parametrize("transcript", played_to("engine"), ids=str)
def test_engine_in_every_chunking(transcript: Transcript) -> None:
    for number, cut in enumerate(every_cut(blocks(transcript), transcript.title)):
        try:
            play(transcript, EnginePeer(transcript.options, cut, half_closes=number % 2 == 0))
        except Mismatch as mismatch:
            raise pytest.fail.Exception(f"{mismatch}\n({cut})", pytrace=False) from None
