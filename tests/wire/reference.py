"""The C server, the reference, for tests."""

from __future__ import annotations

import os

import pytest
from judge.daemon import find_c_server


def need_c_server() -> str:
    """Its path. Where it is missing the test is skipped, but in CI, which installs it, it fails."""
    path = find_c_server()
    if path is None:
        why = "the C server, beanstalkd, is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    return path
