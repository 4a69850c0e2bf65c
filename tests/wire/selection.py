"""The transcripts, and the servers that each is played to."""

from __future__ import annotations

from judge.transcript import Transcript, World, load

TRANSCRIPTS = list(load())


def played_to(target: str) -> list[Transcript]:
    return [transcript for transcript in TRANSCRIPTS if target in transcript.targets]


def blocks(transcript: Transcript) -> list[bytes]:
    return [step.data(World()) for step in transcript.steps if step.verb == "send"]
