from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from judge.clock import Clock, NoCompiler
from judge.server_pair import ServerPair

from tests.wire.reference import need_c_server


@pytest.fixture(scope="session")
def pair() -> Iterator[ServerPair]:
    """Both servers, with a clock that the judge controls. Needs a C compiler."""
    reference = need_c_server()
    try:
        clock = Clock()
    except NoCompiler as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with clock:
        yield ServerPair(clock, c=reference)
