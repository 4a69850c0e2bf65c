"""What a reload may change."""

from __future__ import annotations

from typing import Any

import pytest

from beanstalkd_py.config.changes import compare
from beanstalkd_py.config.options import Options


def test_equal_options_change_nothing() -> None:
    found = compare(Options(user="a"), Options(user="a"))
    assert (found.options, str(found)) == (Options(user="a"), "nothing has changed")


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"max_job_size": 10}, "max_job_size 65535 -> 10"),
        ({"verbosity": 2}, "verbosity 0 -> 2"),
        ({"max_connections": 9}, "max_connections 0 -> 9"),
        ({"idle_timeout": 60}, "idle_timeout 0 -> 60"),
        ({"input_timeout": 5}, "input_timeout 0 -> 5"),
        ({"max_pending": 1000}, "max_pending 262144 -> 1000"),
        ({"max_memory": "auto"}, "max_memory 0 -> auto"),
        ({"log_format": "json"}, "log_format text -> json"),
        ({"log_level": "error"}, "log_level info -> error"),
    ],
)
def test_value_changes_while_running(wanted: dict[str, Any], line: str) -> None:
    found = compare(Options(), Options(**wanted))
    assert (found.options, str(found)) == (Options(**wanted), f"changed: {line}")


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        ({"wal_dir": "a"}, "wal_dir (unset) -> a"),
        ({"address": "::1"}, "address (unset) -> ::1"),
        ({"port": "1"}, "port (unset) -> 1"),
        ({"user": "a"}, "user (unset) -> a"),
        ({"segment_bytes": 65536}, "segment_bytes 10485760 -> 65536"),
        ({"never_sync": True}, "never_sync false -> true"),
        ({"accept_damaged_import": True}, "accept_damaged_import false -> true"),
        ({"socket_mode": 0o660}, "socket_mode (unset) -> 660"),
        ({"socket_group": "a"}, "socket_group (unset) -> a"),
    ],
)
def test_value_waits_for_a_restart(wanted: dict[str, Any], line: str) -> None:
    found = compare(Options(), Options(**wanted))
    assert found.options == Options()
    assert str(found) == f"not changed without a restart: {line}"


@pytest.mark.parametrize(("old", "new", "changes"), [(5, 50, True), (0, 5, False), (5, 0, False)])
def test_window_changes_if_replies_never_wait_for_a_sync(old: int, new: int, changes: bool) -> None:
    found = compare(Options(sync_ms=old), Options(sync_ms=new))
    assert found.options.sync_ms == (new if changes else old)


def test_line_names_what_changes_and_then_what_does_not() -> None:
    found = compare(
        Options(port="1", user="a"), Options(port="2", user="b", max_job_size=1, verbosity=1)
    )
    assert str(found) == (
        "changed: max_job_size 65535 -> 1, verbosity 0 -> 1; "
        "not changed without a restart: port 1 -> 2, user a -> b"
    )
