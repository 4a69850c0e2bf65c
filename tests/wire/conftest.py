from __future__ import annotations

from collections.abc import Iterator

import pytest
from judge.cuts import Cut
from judge.transcript import Transcript

from .servers import Background, Kind, Play, Shared, play_fresh

SharedServers = dict[tuple[Kind, str], Shared]  # by kind and options


@pytest.fixture(scope="session")
def background() -> Iterator[Background]:
    background = Background()
    yield background
    background.close()


@pytest.fixture(scope="session")
def shared_servers() -> Iterator[SharedServers]:
    servers: SharedServers = {}
    yield servers
    for server in servers.values():
        server.close()


@pytest.fixture
def play_live(
    request: pytest.FixtureRequest, background: Background, shared_servers: SharedServers
) -> Play:
    """Plays a transcript to a server of this kind: shared, new, or in the background."""

    def play(kind: Kind, transcript: Transcript, cut: Cut) -> None:
        if transcript.waits:
            background.outcome(kind, transcript, cut, _selected_that_wait(request, kind))
        elif transcript.fresh or kind.is_c:
            play_fresh(kind, transcript, cut)
        else:
            key = (kind, str(transcript.options))
            shared_servers.setdefault(key, Shared(kind, transcript.options)).play(transcript, cut)

    return play


def _selected_that_wait(request: pytest.FixtureRequest, kind: Kind) -> list[Transcript]:
    """The selected transcripts that wait for real time on this kind of server."""
    found = []
    for item in request.session.items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        transcript = params.get("transcript")
        if transcript and transcript.waits and params.get("kind") == kind:
            found.append(transcript)
    return found
