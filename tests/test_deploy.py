"""The files of deploy/: each option exists, and the units do what docs/operating.md says."""

from __future__ import annotations

import configparser
from pathlib import Path

from beanstalkd_py.config.flags import parse

SYSTEMD = Path(__file__).resolve().parents[1] / "deploy" / "systemd"


def unit(name: str) -> configparser.ConfigParser:
    parsed = configparser.ConfigParser(strict=False)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string((SYSTEMD / name).read_text())
    return parsed


def test_service_waits_for_an_address_that_comes_later() -> None:
    """systemd's own RestartSec is 0.1 s, and after five starts in ten seconds it gives up."""
    service = unit("beanstalkd-py.service")
    assert service["Service"]["RestartSec"] == "1"
    assert service["Unit"]["StartLimitIntervalSec"] == "0"


def test_service_starts_with_options_that_exist() -> None:
    words = unit("beanstalkd-py.service")["Service"]["ExecStart"].split()
    chosen = parse(words[1:], words[0]).over({})
    assert (chosen.address, chosen.port, chosen.wal_dir) == (
        "127.0.0.1", "11300", "/var/lib/beanstalkd-py"
    )  # fmt: skip


def test_user_directory_and_address_are_the_same_everywhere() -> None:
    service = unit("beanstalkd-py.service")["Service"]
    user, directory = service["User"], f"/var/lib/{service['StateDirectory']}"
    assert (SYSTEMD / "sysusers.conf").read_text().split()[:2] == ["u", user]
    assert (SYSTEMD / "tmpfiles.conf").read_text().split() == [
        "d", directory, service["StateDirectoryMode"], user, user, "-"
    ]  # fmt: skip
    assert unit("beanstalkd-py.socket")["Socket"]["ListenStream"] == "127.0.0.1:11300"
