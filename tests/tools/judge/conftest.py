from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from judge.bench import Bench
from judge.clock import Clock, NoCompiler

from tests.wire.reference import need_c_server


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Both servers, with a clock that the judge holds. Without a C compiler there is none."""
    reference = need_c_server()
    try:
        clock = Clock()
    except NoCompiler as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason), pytrace=False)
        pytest.skip(str(reason))
    with clock:
        yield Bench(clock, c=reference)
