from __future__ import annotations

from collections.abc import Iterator

import pytest

from .cuts import Cut
from .servers import Background, Kind, Play, Shared, play_fresh
from .transcript import Transcript


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[dict[Kind, Shared]]:
    servers: dict[Kind, Shared] = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def play_live(request: pytest.FixtureRequest, background: Background, shared_servers: dict[Kind, Shared]) -> Play:
    """Plays a transcript to a server of the wanted kind: shared, fresh, or already waiting in the background."""

    def play(kind: Kind, transcript: Transcript, cut: Cut) -> None:
        if transcript.waits:
            if background.outcome(kind, transcript) is None:
                background.start(kind, _selected_that_wait(request, kind), cut)
            background.outcome(kind, transcript).result()
        elif transcript.fresh or kind.is_c:
            play_fresh(kind, transcript, cut)
        else:
            shared_servers.setdefault(kind, Shared(kind)).play(transcript, cut)

    return play


def _selected_that_wait(request: pytest.FixtureRequest, kind: Kind) -> list[Transcript]:
    """Of the tests that run now, the transcripts that wait and are played to this kind of server."""
    found = []
    for item in request.session.items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        transcript = params.get("transcript")
        if transcript and transcript.waits and params.get("kind") == kind:
            found.append(transcript)
    return found
