"""One seed: a fresh pair of servers, a sequence, and what came of it.

May know: everything of the judge. The same seed gives the same sequence and the same outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from .bench import Bench
from .live_peer import REPLY_SECONDS
from .moves import Move, Sequence, Setting
from .rules import objection
from .talk import Talk, draw
from .trial import Differ, Over, Trial

COMMANDS = 1500  # of one sequence


@dataclass
class Outcome:
    """What came of a sequence. failure: "" if both said the same to the end, or to where a known
    difference set in.
    """

    sequence: Sequence
    commands: int
    connections: int
    seen: Counter[str]
    told: list[dict[str, tuple[list[bytes], list[bytes]]]]
    failure: str = ""
    kind: str = ""


def play_seed(bench: Bench, seed: int, commands: int = COMMANDS) -> Outcome:
    rng = Random(f"judge {seed}")
    manner, setting = draw(rng)
    with bench.trial(setting) as trial:
        talk = Talk(rng, manner, setting, trial.book, bench.c_version, commands)
        return _run(trial, setting, talk.moves())


def replay(bench: Bench, sequence: Sequence, patience_s: float = REPLY_SECONDS) -> Outcome:
    """The same moves again, on a fresh pair. patience_s: for a reply that does not come."""
    with bench.trial(sequence.setting) as trial:
        trial.patience_s = patience_s
        return _run(trial, sequence.setting, _unobjectionable(trial, sequence))


def _unobjectionable(trial: Trial, sequence: Sequence) -> Iterator[Move]:
    """Up to a move that would not have been made."""
    for move in sequence.moves:
        if objection(trial.book, sequence.setting, move):
            return
        yield move


def _run(trial: Trial, setting: Setting, moves: Iterable[Move]) -> Outcome:
    failure = kind = ""
    try:
        for move in moves:
            trial.do(move)
    except Over as over:
        trial.seen[over.row] += over.showed
    except Differ as differ:
        failure, kind = str(differ), differ.kind
    opened = sum(move.verb == "open" for move in trial.moves)
    return Outcome(
        Sequence(setting, trial.moves),
        trial.book.commands,
        opened,
        trial.seen,
        trial.told,
        failure,
        kind,
    )
