"""Plays one sequence, from a seed or replayed, to a new pair of servers.

The same seed gives the same sequence and the same outcome.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from .actions import Action, Sequence, Setting
from .comparison import Comparison, KnownDifference, UnknownDifference
from .constraints import violation
from .generator import Generator, draw
from .server_pair import ServerPair

COMMANDS = 1500  # in one sequence


@dataclass
class Outcome:
    """The result of a sequence.

    failure: "" if both servers agreed to the end or up to a known difference. mixed: the extension
    commands that our server got besides.
    """

    sequence: Sequence
    commands: int
    connections: int
    seen: Counter[str]
    replies: list[dict[str, tuple[list[bytes], list[bytes]]]]
    failure: str = ""
    kind: str = ""
    mixed: list[tuple[str, bytes]] = field(default_factory=list)


def play_seed(
    pair: ServerPair, seed: int, commands: int = COMMANDS, extensions: bool = False
) -> Outcome:
    """extensions: our server gets extension commands, too."""
    rng = Random(f"judge {seed}")
    profile, setting = draw(rng)
    if extensions:
        setting = replace(setting, mixed=f"mix {seed}")
    with pair.comparison(setting) as comparison:
        generator = Generator(rng, profile, setting, comparison.tracker, pair.c_version, commands)
        return _run(comparison, setting, generator.actions())


def replay(pair: ServerPair, sequence: Sequence, tries: int = 0) -> Outcome:
    """Performs the same actions on a new pair. tries: see `Comparison`."""
    with pair.comparison(sequence.setting) as comparison:
        comparison.tries = tries
        return _run(comparison, sequence.setting, _allowed(comparison, sequence))


def _allowed(comparison: Comparison, sequence: Sequence) -> Iterator[Action]:
    """The actions up to the first one that the constraints exclude."""
    for action in sequence.actions:
        if violation(comparison.tracker, sequence.setting, action):
            return
        yield action


def _run(comparison: Comparison, setting: Setting, actions: Iterable[Action]) -> Outcome:
    failure = kind = ""
    try:
        for action in actions:
            comparison.do(action)
    except KnownDifference as over:
        comparison.seen[over.row] += over.shown
    except UnknownDifference as differ:
        failure, kind = str(differ), differ.kind
    opened = sum(action.verb == "open" for action in comparison.actions)
    return Outcome(
        Sequence(setting, comparison.actions),
        comparison.tracker.commands,
        opened,
        comparison.seen,
        comparison.replies,
        failure,
        kind,
        comparison.mixed,
    )
