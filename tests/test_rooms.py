"""Imports point one way (docs/architecture.md). A room that is not named here gets the strictest rules.

The rules read the source, so an import inside a function counts as well. Each rule is tried on source that breaks it.
"""

import ast
import configparser
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Rooms of the server that may know the world outside: sockets, clocks, the system.
OUTER = {
    f"beanstalkd_py.{room}"
    for room in ("__main__", "cli", "connection", "listen", "memory", "notify", "options", "privileges", "progress", "server")
}
USES_GEVENT = {"beanstalkd_py.cli", "beanstalkd_py.connection", "beanstalkd_py.server"}
KNOWS_THE_LOG = {f"beanstalkd_py.{room}" for room in ("binlog", "opening", "replay", "takeover", "cli", "server")}
KNOWS_FILES = {"beanstalkd_py.cbinlog.files", "beanstalkd_py.takeover"}
CHECKSUMS = {"crcmod", "google_crc32c"}

FILES = {"mmap", "os", "pathlib", "shutil", "tempfile"}
WORLD = {
    *("asyncio", "concurrent", "datetime", "fcntl", "logging", "multiprocessing", "select", "selectors", "signal"),
    *("socket", "socketserver", "ssl", "subprocess", "sys", "threading", "time"),
}


def imports(module: str, source: str, types_too: bool = True) -> set[str]:
    """Dotted names of all that is imported; `from a import b` gives `a.b`."""
    package = module if is_package(module) else module.rpartition(".")[0]
    found: set[str] = set()
    for node in walk(ast.parse(source), types_too):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{origin(node, package)}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            found.update(ast.literal_eval(argument) for argument in node.args[:1])
    return found


def is_package(module: str) -> bool:
    return (ROOT / module.replace(".", "/") / "__init__.py").exists()


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


def hit(names: set[str], banned: set[str]) -> set[str]:
    """The names that are banned, or lie within something that is."""
    return {name for name in names if any(f"{name}.".startswith(f"{each}.") for each in banned)}


def foreign(names: set[str], *known: set[str]) -> set[str]:
    """The names that are neither of the standard library nor known."""
    return {name for name in names if name.partition(".")[0] not in set(sys.stdlib_module_names).union(*known)}


def says(source: str) -> set[str]:
    """Libraries report, programs decide."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return {f"{call.id}()" for call in calls if isinstance(call, ast.Name) and call.id in {"exit", "input", "print"}}


def broken_rules(module: str, source: str) -> set[str]:
    """What this module must not import or call."""
    names = imports(module, source)
    broken = hit(names, {"gevent.monkey", "tools"})
    if module.startswith("tools."):
        broken -= hit(names, {".".join(module.split(".")[:2])})  # what they import of themselves, relatively
    if module.startswith("wal"):
        return broken | says(source) | foreign(names, CHECKSUMS, {"wal"})
    if not module.startswith("beanstalkd_py"):
        return broken
    if module not in USES_GEVENT:
        broken |= hit(names, {"gevent", "greenlet"})
    if module not in OUTER:
        broken |= says(source) | hit(names, WORLD | OUTER) | foreign(names, {"beanstalkd_py", "wal"})
    if module not in OUTER | KNOWS_FILES:
        broken |= hit(names, FILES)
    if module not in KNOWS_THE_LOG:
        broken |= hit(names, {"wal"})
    if module.startswith("beanstalkd_py.cbinlog"):
        broken |= hit(names, {"beanstalkd_py"}) - hit(names, {"beanstalkd_py.cbinlog"})
    return broken


def modules(*packages: str) -> dict[str, str]:
    """The source of all modules by their names."""
    paths = [path for package in packages for path in ROOT.glob(f"{package}/**/*.py")]
    return {name_of(path): path.read_text() for path in sorted(paths)}


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("module", modules("beanstalkd_py", "wal", "tools"))
def test_a_room_imports_only_what_it_may(module):
    source = modules("beanstalkd_py", "wal", "tools")[module]
    assert broken_rules(module, source) == set()


def test_imports_go_round_in_no_circle():
    everything = modules("beanstalkd_py", "wal")
    assert {"beanstalkd_py.engine", "wal.log"} <= everything.keys()
    find_circle(everything)


def find_circle(everything: dict[str, str]) -> None:
    graph = {module: imports(module, source, types_too=False) for module, source in everything.items()}
    TopologicalSorter({module: {nearest(name, graph) for name in names} - {module, ""} for module, names in graph.items()}).prepare()


def nearest(name: str, among: dict[str, set[str]]) -> str:
    """The module that a dotted name is, or is in."""
    while name and name not in among:
        name = name.rpartition(".")[0]
    return name


def installed_packages() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def test_nothing_called_tools_is_installed():
    assert {name.partition(".")[0] for name in installed_packages()}.isdisjoint({"tools", "tests", "bench"})
    assert not (ROOT / "tools" / "__init__.py").exists()


def test_every_package_is_installed():
    packages = [name.removeprefix("tools.") for name in modules("beanstalkd_py", "wal", "tools") if is_package(name)]
    assert sorted(packages) == sorted(installed_packages())


# The rules themselves


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wal.log", "import gevent"),
        ("wal.log", "from beanstalkd_py.jobs import Job"),
        ("wal.log", "import crcmod, click"),
        ("wal.log", "def f():\n    print(1)"),
        ("beanstalkd_py.engine", "import time"),
        ("beanstalkd_py.engine", "def now():\n    from time import monotonic_ns"),
        ("beanstalkd_py.engine", "import importlib\nimportlib.import_module('threading')"),
        ("beanstalkd_py.engine", "exit(1)"),
        ("beanstalkd_py.protocol", "import socket as s"),
        ("beanstalkd_py.stats", "import click"),
        ("beanstalkd_py.stats", "import os.path"),
        ("beanstalkd_py.session", "from .connection import Connection"),
        ("beanstalkd_py.session", "from . import server"),
        ("beanstalkd_py.jobs", "if TYPE_CHECKING:\n    import threading"),
        ("beanstalkd_py.records", "from wal import Log"),
        ("beanstalkd_py.a_room_nobody_named", "import time"),
        ("beanstalkd_py.binlog", "import gevent"),
        ("beanstalkd_py.binlog", "import time"),
        ("beanstalkd_py.binlog", "import socket"),
        ("beanstalkd_py.cbinlog.files", "import socket"),
        ("beanstalkd_py.cbinlog.reader", "import os"),
        ("beanstalkd_py.cbinlog.reader", "from ..engine import Engine"),
        ("beanstalkd_py.cbinlog", "from ..listen import listen"),
        ("beanstalkd_py.listen", "from gevent import socket"),
        ("beanstalkd_py.listen", "import wal"),
        ("beanstalkd_py.server", "from gevent import monkey"),
        ("beanstalkd_py.server", "import gevent.monkey"),
        ("beanstalkd_py.server", "import tools.bench"),
        ("tools.bench.load", "from gevent.monkey import patch_all"),
    ],
)
def test_what_is_forbidden_is_found(module, source):
    assert len(broken_rules(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wal.log", "import os, threading, crcmod.predefined\nfrom .errors import Corrupt\nfrom wal import fs"),
        ("beanstalkd_py.binlog", "from wal import Log\nfrom .engine import Engine"),
        ("beanstalkd_py.engine", "from . import replies\nimport heapq"),
        ("beanstalkd_py.cbinlog.reader", "from .files import read_file\nfrom . import damage"),
        ("beanstalkd_py.cbinlog", "from .files import read_file"),
        ("beanstalkd_py.server", "import os, socket, time, gevent, wal\nfrom .connection import Connection"),
        ("tools.bench.load", "import gevent, beanstalkd_py.protocol"),
    ],
)
def test_what_is_allowed_is_not_found(module, source):
    assert broken_rules(module, source) == set()


def test_a_circle_is_found():
    with pytest.raises(CycleError):
        find_circle({"wal.log": "from wal.reader import Reader", "wal.reader": "from wal import fs, log"})
    find_circle({"wal.log": "from wal.reader import Reader", "wal.reader": "if TYPE_CHECKING:\n    from wal.log import Log"})
