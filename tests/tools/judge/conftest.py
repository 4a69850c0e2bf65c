from __future__ import annotations

from collections.abc import Iterator

import pytest
from judge.clock import Clock
from judge.server_pair import ServerPair

from tests.wire.reference import need_c_server


@pytest.fixture(scope="session")
def pair(compiler: None) -> Iterator[ServerPair]:
    """Both servers, with a clock that the judge controls."""
    reference = need_c_server()
    with Clock() as clock:
        yield ServerPair(clock, c=reference)
