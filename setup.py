"""What is compiled. Everything else about the package is in setup.cfg.

The extension `_batchedio` is written in C. It is built where a C compiler and Python's headers are.
Elsewhere the installation succeeds without it, and the server uses the same functions in Python.

With BEANSTALKD_COMPILED=1, mypyc also compiles the modules below, from the sources beside them.
With BEANSTALKD_COMPILED=0, nothing is compiled: the wheel runs on every machine.
"""

import os
from typing import Any

from setuptools import Extension, setup

# What a command or a record passes through. The rest would gain nothing; the log's file system and
# threads, and what talks to them, are what the simulation puts its own in place of.
COMPILED = [
    f"{folder}/{module}.py"
    for folder, modules in {
        "beanstalkd_py/queue": (
            "attempts",
            "attributes",
            "bulk",
            "jobtable",
            "journal",
            "lazyheap",
            "listing",
            "memory",
            "model",
            "moved",
            "oldest",
            "outcome",
            "policy",
            "puts",
            "queue",
            "ready",
            "rules",
            "runs",
            "snapshot",
            "state",
            "ticks",
            "timers",
            "tubebytes",
            "waits",
        ),
        "beanstalkd_py/protocol": (
            "answers",
            "bodies",
            "commands",
            "dispatch",
            "extensions",
            "known",
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
            "jobrecord",
            "journal",
            "meta",
            "policyrecords",
            "putrecords",
            "records",
            "replay",
            "tubereplay",
            "tuberecords",
            "usage",
            "withrecords",
        ),
        "beanstalkd_py/server": (
            "connection",
            "context",
            "life",
            "memory",
            "outbox",
            "poller",
            "sends",
            "server",
            "timeouts",
            "transport",
            "unsent",
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


BATCHED_IO = Extension(
    "beanstalkd_py.server._batchedio", ["beanstalkd_py/server/_batchedio.c"], optional=True
)


def compiled() -> dict[str, Any]:
    wanted = os.environ.get("BEANSTALKD_COMPILED")
    if wanted == "0":
        return {}
    if wanted != "1":
        return {"ext_modules": [BATCHED_IO]}
    try:
        from mypyc.build import mypycify
    except ImportError:  # the first question of a build is what it needs
        return {"setup_requires": ["mypy"]}
    return {"ext_modules": [*mypycify(COMPILED, group_name="beanstalkd_py"), BATCHED_IO]}


setup(**compiled())
