"""The option to compile: BEANSTALKD_COMPILED=1 pip install .

Promises: without that variable nothing is compiled, and the wheel installs anywhere. With it, the
modules below become C extensions by mypyc, out of the same sources, which lie beside them.
Everything else about the package stands in setup.cfg.
"""

import os
from typing import Any

from setuptools import setup

# What a command or a record passes through. The rest would gain nothing; the log's file system and
# threads, and what talks to them, are what the simulation puts its own in place of.
COMPILED = [
    f"{folder}/{module}.py"
    for folder, modules in {
        "beanstalkd_py/queue": (
            "journal",
            "lazyheap",
            "memory",
            "model",
            "outcome",
            "queue",
            "ready",
            "snapshot",
            "state",
            "timers",
        ),
        "beanstalkd_py/protocol": (
            "commands",
            "dispatch",
            "lines",
            "parser",
            "replies",
            "session",
            "trace",
            "yaml",
        ),
        "beanstalkd_py/binlog": (
            "compactor",
            "headroom",
            "ids",
            "journal",
            "records",
            "replay",
            "usage",
        ),
        "beanstalkd_py/server": (
            "connection",
            "context",
            "memory",
            "outbox",
            "server",
            "transport",
        ),
        "wal/beanstalkd_wal": (
            "checksum",
            "errors",
            "format",
            "log",
            "names",
            "operations",
            "progress",
            "reader",
            "replay",
            "spares",
            "state",
        ),
    }.items()
    for module in modules
]


def compiled() -> dict[str, Any]:
    if os.environ.get("BEANSTALKD_COMPILED") != "1":
        return {}
    try:
        from mypyc.build import mypycify
    except ImportError:  # the first question of a build is what it needs
        return {"setup_requires": ["mypy"]}
    return {"ext_modules": mypycify(COMPILED, group_name="beanstalkd_py")}


setup(**compiled())
