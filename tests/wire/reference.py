"""The C server as the reference for tests."""

from __future__ import annotations

import os

import pytest
from testkit.c_server import find_c_server


def need_c_server() -> str:
    """The path of the C server. Without it the test is skipped, but fails in CI."""
    path = find_c_server()
    if path is None:
        why = "the C server, beanstalkd, is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    return path
