"""The command line of the systemd service."""

from __future__ import annotations

import configparser

from .command import ROOT, Failed

SERVICE = ROOT / "deploy" / "systemd" / "beanstalkd-py.service"
CONFIG = ROOT / "deploy" / "beanstalkd-py.toml"
INSTALLED_CONFIG = "/etc/beanstalkd-py.toml"
DIRECTORY = "/var/lib/beanstalkd-py"
PROGRAM = "/usr/bin/beanstalkd-py"


def read() -> configparser.ConfigParser:
    """Keys may be repeated; the last one counts."""
    parsed = configparser.ConfigParser(strict=False, interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read(SERVICE)
    return parsed


def command(program: str = PROGRAM, config: str = INSTALLED_CONFIG) -> list[str]:
    """With another program and another file, but the same options."""
    words = read()["Service"]["ExecStart"].split()
    if words[0] != PROGRAM or INSTALLED_CONFIG not in words:
        raise Failed(f"{SERVICE}: ExecStart has another program or another file: {words}")
    return [program, *(config if word == INSTALLED_CONFIG else word for word in words[1:])]
