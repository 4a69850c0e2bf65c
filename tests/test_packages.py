"""Each package imports only the packages below it (docs/architecture.md, "Packages").

A module in a package that no rule names gets the strictest rules. Imports inside functions and
under TYPE_CHECKING count. Each file is read once. Each rule is tried on source that breaks it.
"""

from __future__ import annotations

import ast
import configparser
import functools
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Where packages are, and the dotted name of what stands there.
PLACES = {"beanstalkd_py": "beanstalkd_py.", "wal": "", "tools": "tools."}

# What each package of the server may import of ours. A package always knows itself.
BELOW = {
    "beanstalkd_wal": set[str](),
    "beanstalkd_py.queue": set[str](),
    "beanstalkd_py.host": set[str](),
    "beanstalkd_py.protocol": {"beanstalkd_py.queue"},
    "beanstalkd_py.binlog": {"beanstalkd_py.queue", "beanstalkd_wal"},
    "beanstalkd_py.foreign.cbinlog": {"beanstalkd_wal.fs"},
    "beanstalkd_py.foreign": {"beanstalkd_py.binlog", "beanstalkd_py.queue", "beanstalkd_wal"},
    "beanstalkd_py.server": {
        *("beanstalkd_py.config", "beanstalkd_py.host", "beanstalkd_py.queue"),
        *("beanstalkd_py.protocol", "beanstalkd_py.binlog", "beanstalkd_wal"),
    },
    "beanstalkd_py.config": set[str](),
    "beanstalkd_py.dramatiq": set[str](),
    "beanstalkd_py.http": {
        *("beanstalkd_py.config", "beanstalkd_py.host", "beanstalkd_py.queue"),
        *("beanstalkd_py.binlog", "beanstalkd_py.protocol", "beanstalkd_py.server"),
    },
    "beanstalkd_py.console": {
        *("beanstalkd_py.config", "beanstalkd_py.host", "beanstalkd_py.http"),
        "beanstalkd_py.server",
    },
    "beanstalkd_py.cli": {"beanstalkd_py", "beanstalkd_wal"},
    "beanstalkd_py.openlog": {
        *("beanstalkd_py.binlog", "beanstalkd_py.config", "beanstalkd_py.foreign"),
        *("beanstalkd_py.host", "beanstalkd_py.queue", "beanstalkd_py.server", "beanstalkd_wal"),
    },
    "beanstalkd_py.password": {"beanstalkd_py.config"},
    "beanstalkd_py.ping": {"beanstalkd_py.config.parser"},
    "beanstalkd_py.__main__": {"beanstalkd_py"},
}

FILES = {"mmap", "os", "pathlib", "shutil", "tempfile"}
SYSTEM = {
    *("asyncio", "concurrent", "datetime", "fcntl", "logging", "multiprocessing", "select"),
    *("selectors", "signal", "socket", "socketserver", "ssl", "subprocess", "sys", "threading"),
    "time",
}
GEVENT = {"gevent", "greenlet"}
CHECKSUMS = {"crcmod", "google_crc32c"}

# Packages that may use the operating system beyond files.
USES_SYSTEM = (
    "beanstalkd_py.__main__",
    "beanstalkd_py.cli",
    "beanstalkd_py.console",
    "beanstalkd_py.dramatiq",
    "beanstalkd_py.host",
    "beanstalkd_py.http",
    "beanstalkd_py.openlog",
    "beanstalkd_py.password",
    "beanstalkd_py.ping",
    "beanstalkd_py.server",
)
USES_FILES = (
    *USES_SYSTEM,
    "beanstalkd_py.config.file",
    "beanstalkd_py.foreign.takeover",
    "beanstalkd_py.foreign.old_files",
    "beanstalkd_py.foreign.cbinlog.files",
)
USES_GEVENT = ("beanstalkd_py.server", "beanstalkd_py.http", "beanstalkd_py.console")
USES_DRAMATIQ = ("beanstalkd_py.dramatiq",)
USES_HTTP = ("beanstalkd_py.http", "beanstalkd_py.console")
USES_CLICK = ("beanstalkd_py.host",)
USES_TOML = ("beanstalkd_py.config",)
USES_CRON = ("beanstalkd_py.config.schedules",)  # and the calendar that its runs are in


@functools.cache
def modules() -> dict[str, str]:
    """The source of every module, by its dotted name; those of tools/ begin with `tools.`."""
    found = {}
    for place, prefix in PLACES.items():
        for path in sorted((ROOT / place).glob("**/*.py")):
            dotted = ".".join(path.relative_to(ROOT / place).with_suffix("").parts)
            found[f"{prefix}{dotted}".removesuffix(".__init__").removesuffix(".")] = (
                path.read_text()
            )
            if path.name == "__init__.py":
                PACKAGES.add(f"{prefix}{dotted}".removesuffix("__init__").strip("."))
    return found


PACKAGES: set[str] = set()


def imports(module: str, source: str, types_too: bool = True) -> set[str]:
    """Dotted names of all that is imported; `from a import b` gives `a.b`."""
    package = module if module in PACKAGES else module.rpartition(".")[0]
    found: set[str] = set()
    for node in walk(ast.parse(source), types_too):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{origin(node, package)}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _imports(node):
            found.update(ast.literal_eval(argument) for argument in node.args[:1])
    return found


def _imports(call: ast.Call) -> bool:
    """The function imports a module by name."""
    return ast.unparse(call.func).rpartition(".")[2] in ("__import__", "import_module")


def walk(node: ast.AST, types_too: bool) -> Iterator[ast.AST]:
    """All nodes; without types_too, not those that only the type checker sees."""
    yield node
    if isinstance(node, ast.If) and not types_too and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    for child in ast.iter_child_nodes(node):
        yield from walk(child, types_too)


def origin(node: ast.ImportFrom, package: str) -> str:
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    return ".".join([*above, *([node.module] if node.module else [])])


def within(name: str, *places: str) -> bool:
    """Whether a dotted name is one of these places or lies inside one."""
    return any(f"{name}.".startswith(f"{place}.") for place in places)


def hit(names: set[str], banned: set[str]) -> set[str]:
    return {name for name in names if within(name, *banned)}


def home(module: str) -> str:
    """The most precise key of BELOW that this module lies in."""
    return max((place for place in BELOW if within(module, place)), key=len, default="")


def above_or_beside(module: str, names: set[str]) -> set[str]:
    """Imports of our own packages that do not lie below the module's package."""
    ours = {name for name in names if within(name, "beanstalkd_py", "beanstalkd_wal", "tools")}
    place = home(module)
    allowed = (place, *BELOW[place]) if place else ()
    shared = {"beanstalkd_py.__version__", "beanstalkd_py.C_VERSION"}
    return {name for name in ours - shared if not within(name, *allowed)}


def prints_or_exits(source: str) -> set[str]:
    """Libraries report, programs decide."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = (call.id for call in calls if isinstance(call, ast.Name))
    return {f"{name}()" for name in names if name in {"exit", "input", "print"}}


def not_standard(names: set[str]) -> set[str]:
    """Imports that are neither ours nor of the standard library."""
    known = {*sys.stdlib_module_names, "beanstalkd_py", "beanstalkd_wal"}
    return {name for name in names if name.partition(".")[0] not in known}


def broken_rules(module: str, source: str) -> set[str]:
    """What this module must not import or call."""
    names = imports(module, source)
    if module.startswith("tools."):
        itself = ".".join(module.split(".")[:2])
        return hit(names, {"gevent.monkey", "tools"}) - hit(names, {itself})
    broken = above_or_beside(module, names)
    if within(module, "beanstalkd_wal"):
        return broken | prints_or_exits(source) | not_standard(names) - hit(names, CHECKSUMS)
    allowed: set[str] = set()
    if within(module, *USES_GEVENT):
        allowed |= hit(names, GEVENT) - hit(names, {"gevent.monkey"})
    if within(module, *USES_CLICK):
        allowed |= hit(names, {"click"})
    if within(module, *USES_DRAMATIQ):
        allowed |= hit(names, {"dramatiq", "greenstalk"})
    if within(module, *USES_HTTP):
        allowed |= hit(names, {"prometheus_client", "werkzeug"})
    if within(module, *USES_TOML):
        allowed |= hit(names, {"tomli", "tomllib"})
    if within(module, *USES_CRON):
        allowed |= hit(names, {"cronsim"})
        names = names - hit(names, {"datetime"})
    broken |= not_standard(names) - allowed
    if not within(module, *USES_SYSTEM):
        broken |= prints_or_exits(source) | hit(names, SYSTEM)
    if not within(module, *USES_FILES):
        broken |= hit(names, FILES)
    return broken


@pytest.mark.parametrize("module", modules())
def test_module_imports_only_what_lies_below(module: str) -> None:
    assert broken_rules(module, modules()[module]) == set()


def test_imports_have_no_cycle() -> None:
    server = {name: source for name, source in modules().items() if not within(name, "tools")}
    assert {"beanstalkd_py.queue.state", "beanstalkd_wal.log"} <= server.keys()
    find_cycle(server)


def find_cycle(sources: dict[str, str]) -> None:
    """Imports for the type checker count too. Raises CycleError."""
    graph = {module: imports(module, source) for module, source in sources.items()}
    TopologicalSorter(
        {
            module: {nearest(name, graph) for name in names} - {module, "", *parents(module)}
            for module, names in graph.items()
        }
    ).prepare()


def parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def nearest(name: str, among: dict[str, set[str]]) -> str:
    """The module that a dotted name is, or is in."""
    while name and name not in among:
        name = name.rpartition(".")[0]
    return name


def installed_packages() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def test_no_common_top_level_name_is_installed() -> None:
    tops = {name.partition(".")[0] for name in installed_packages()}
    assert tops == {"beanstalkd_binlog", "beanstalkd_py", "beanstalkd_wal"}
    assert not (ROOT / "tools" / "__init__.py").exists()
    assert not (ROOT / "wal" / "__init__.py").exists()


def test_every_package_is_installed() -> None:
    modules()
    assert sorted(name.removeprefix("tools.") for name in PACKAGES) == sorted(installed_packages())


# The rules themselves


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("beanstalkd_wal.log", "import gevent"),
        ("beanstalkd_wal.log", "from beanstalkd_py.queue.model import Job"),
        ("beanstalkd_wal.log", "import crcmod, click"),
        ("beanstalkd_wal.log", "def f():\n    print(1)"),
        ("beanstalkd_py.queue.state", "import time"),
        ("beanstalkd_py.queue.state", "def now():\n    from time import monotonic_ns"),
        ("beanstalkd_py.queue.state", "import importlib\nimportlib.import_module('threading')"),
        ("beanstalkd_py.queue.state", "exit(1)"),
        ("beanstalkd_py.queue.state", "from beanstalkd_py.protocol import replies"),
        ("beanstalkd_py.queue.state", "if TYPE_CHECKING:\n    import threading"),
        ("beanstalkd_py.queue.state", "if TYPE_CHECKING:\n    from ..binlog import journal"),
        ("beanstalkd_py.protocol.parser", "import socket as s"),
        ("beanstalkd_py.protocol.parser", "from beanstalkd_py.binlog.journal import records"),
        ("beanstalkd_py.protocol.yaml", "import click"),
        ("beanstalkd_py.protocol.yaml", "import os.path"),
        (
            "beanstalkd_py.protocol.session",
            "from beanstalkd_py.server.connection import Connection",
        ),
        ("beanstalkd_py.protocol.session", "from ..server import connection"),
        ("beanstalkd_py.binlog.records", "from beanstalkd_py.protocol import parser"),
        ("beanstalkd_py.binlog.journal", "import gevent"),
        ("beanstalkd_py.binlog.journal", "import time"),
        ("beanstalkd_py.foreign.cbinlog.files", "import socket"),
        ("beanstalkd_py.foreign.cbinlog.reader", "import os"),
        ("beanstalkd_py.foreign.cbinlog.reader", "from beanstalkd_py.queue.state import State"),
        ("beanstalkd_py.foreign.takeover", "from beanstalkd_py.server.listen import listen"),
        ("beanstalkd_py.host.notify", "from beanstalkd_py.server.server import listen"),
        ("beanstalkd_py.host.notify", "import gevent"),
        ("beanstalkd_py.server.server", "from gevent import monkey"),
        ("beanstalkd_py.server.server", "from beanstalkd_py.cli import main"),
        ("beanstalkd_py.server.server", "import tools.bench"),
        ("beanstalkd_py.config.table", "import os"),
        ("beanstalkd_py.config.file", "from beanstalkd_py.server.server import Server"),
        ("beanstalkd_py.server.server", "import tomli"),
        ("beanstalkd_py.server.server", "import werkzeug"),
        ("beanstalkd_py.server.server", "from beanstalkd_py.http import side"),
        ("beanstalkd_py.server.server", "from beanstalkd_py import dramatiq"),
        ("beanstalkd_py.server.server", "import greenstalk"),
        ("beanstalkd_py.dramatiq.broker", "import gevent"),
        ("beanstalkd_py.dramatiq.broker", "from ..protocol import replies"),
        ("beanstalkd_py.http.side", "from beanstalkd_py import cli"),
        ("beanstalkd_py.http.side", "from gevent import monkey"),
        ("beanstalkd_py.a_package_without_a_rule.x", "import time"),
        ("beanstalkd_py.a_package_without_a_rule.x", "from beanstalkd_py.queue import model"),
        ("tools.bench.load", "from gevent.monkey import patch_all"),
    ],
)
def test_forbidden_import_is_found(module: str, source: str) -> None:
    assert len(broken_rules(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "beanstalkd_wal.log",
            "import os, threading, crcmod.predefined\nfrom .errors import Corrupt",
        ),
        (
            "beanstalkd_py.binlog.journal",
            "from beanstalkd_wal import Log\nfrom ..queue.state import State",
        ),
        ("beanstalkd_py.queue.queue", "from beanstalkd_py.queue import model\nimport heapq"),
        (
            "beanstalkd_py.foreign.cbinlog.reader",
            "from .files import read_file\nfrom . import damage",
        ),
        (
            "beanstalkd_py.server.server",
            "import os, socket, time, gevent\nfrom ..binlog import journal",
        ),
        ("beanstalkd_py.config.file", "import os, tomli\nfrom . import table"),
        (
            "beanstalkd_py.dramatiq.broker",
            "import threading, greenstalk\nfrom dramatiq.broker import Broker",
        ),
        ("beanstalkd_py.cli", "import sys\nfrom beanstalkd_py.server.server import Server"),
        ("tools.bench.load", "import gevent, beanstalkd_py.protocol"),
    ],
)
def test_allowed_import_is_not_found(module: str, source: str) -> None:
    assert broken_rules(module, source) == set()


def test_cycle_is_found() -> None:
    with pytest.raises(CycleError):
        find_cycle({"a.log": "from a.reader import Reader", "a.reader": "from a import fs, log"})
    with pytest.raises(CycleError):
        find_cycle(
            {
                "a.log": "from a.reader import Reader",
                "a.reader": "if TYPE_CHECKING:\n    from a.log import Log",
            }
        )
