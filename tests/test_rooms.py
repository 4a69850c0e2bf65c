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

CHECKSUMS = {"crcmod", "google_crc32c"}
OUTER = {"__main__", "cli", "connection", "listen", "notify", "options", "privileges", "server"}
USES_GEVENT = {"cli", "connection", "server"}
KNOWS_THE_LOG = {"binlog", "replay"}
WORLD = {
    *("asyncio", "concurrent", "datetime", "fcntl", "gevent", "greenlet", "logging", "mmap", "multiprocessing", "os", "pathlib"),
    *("select", "selectors", "shutil", "signal", "socket", "socketserver", "ssl", "subprocess", "tempfile", "threading", "time"),
}


def imports(source: str, package: str, types_too: bool = True) -> set[str]:
    """Dotted names of all that is imported; `from a import b` gives `a.b`."""
    found: set[str] = set()
    for node in walk(ast.parse(source), types_too):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update(f"{origin(node, package)}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            found.update(ast.literal_eval(argument) for argument in node.args[:1])
    return found


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


def broken_rules(package: str, room: str, source: str) -> set[str]:
    """The imports that this room of this package must not have."""
    names = imports(source, package)
    banned = hit(names, {"gevent.monkey", "tools"})
    if package == "wal":
        return banned | {name for name in names if name.partition(".")[0] not in {*sys.stdlib_module_names, "wal", *CHECKSUMS}}
    if package != "beanstalkd_py":
        return banned
    if room not in USES_GEVENT:
        banned |= hit(names, {"gevent", "greenlet"})
    if room not in OUTER:
        banned |= hit(names, WORLD | {f"beanstalkd_py.{each}" for each in OUTER})
    if room not in OUTER | KNOWS_THE_LOG:
        banned |= hit(names, {"wal"})
    return banned


def rooms() -> list[tuple[str, Path]]:
    """All modules with the package they are in."""
    paths = [*ROOT.glob("beanstalkd_py/**/*.py"), *ROOT.glob("wal/**/*.py"), *ROOT.glob("tools/**/*.py")]
    return [(path.relative_to(ROOT).parts[0], path) for path in sorted(paths)]


@pytest.mark.parametrize(("package", "path"), rooms(), ids=lambda value: str(value).removeprefix(f"{ROOT}/"))
def test_a_room_imports_only_what_it_may(package, path):
    assert broken_rules(package, path.stem, path.read_text()) == set()


@pytest.mark.parametrize("package", ["beanstalkd_py", "wal"])
def test_imports_go_round_in_no_circle(package):
    graph = {path.stem: imports(path.read_text(), package, types_too=False) for each, path in rooms() if each == package}
    assert graph
    find_circle(package, graph)


def find_circle(package: str, graph: dict[str, set[str]]) -> None:
    inside = {room: {other for other in graph if other != room and hit(names, {f"{package}.{other}"})} for room, names in graph.items()}
    TopologicalSorter(inside).prepare()


def installed_packages() -> list[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config["options"]["packages"].split()


def test_nothing_called_tools_is_installed():
    assert {name.partition(".")[0] for name in installed_packages()}.isdisjoint({"tools", "tests", "bench"})
    assert not (ROOT / "tools" / "__init__.py").exists()


def test_every_package_is_installed():
    folders = [path.parent.relative_to(ROOT) for path in ROOT.glob("*/**/__init__.py")]
    packages = [".".join(folder.parts[folder.parts[0] == "tools" :]) for folder in folders if folder.parts[0] in {"beanstalkd_py", "wal", "tools"}]
    assert sorted(packages) == sorted(installed_packages())


# The rules themselves


@pytest.mark.parametrize(
    ("package", "room", "source"),
    [
        ("wal", "log", "import gevent"),
        ("wal", "log", "from beanstalkd_py.jobs import Job"),
        ("wal", "log", "import crcmod, click"),
        ("beanstalkd_py", "engine", "import time"),
        ("beanstalkd_py", "engine", "def now():\n    from time import monotonic_ns"),
        ("beanstalkd_py", "engine", "import importlib\nimportlib.import_module('threading')"),
        ("beanstalkd_py", "protocol", "import socket as s"),
        ("beanstalkd_py", "session", "import os.path"),
        ("beanstalkd_py", "session", "from .connection import Connection"),
        ("beanstalkd_py", "session", "from . import server"),
        ("beanstalkd_py", "jobs", "if TYPE_CHECKING:\n    import threading"),
        ("beanstalkd_py", "records", "from wal import Log"),
        ("beanstalkd_py", "a_room_nobody_named", "import time"),
        ("beanstalkd_py", "binlog", "import gevent"),
        ("beanstalkd_py", "binlog", "import time"),
        ("beanstalkd_py", "binlog", "import socket"),
        ("beanstalkd_py", "listen", "from gevent import socket"),
        ("beanstalkd_py", "server", "from gevent import monkey"),
        ("beanstalkd_py", "server", "import gevent.monkey"),
        ("beanstalkd_py", "server", "import tools.bench"),
        ("tools", "load", "from gevent.monkey import patch_all"),
    ],
)
def test_a_forbidden_import_is_found(package, room, source):
    assert len(broken_rules(package, room, source)) == 1


@pytest.mark.parametrize(
    ("package", "room", "source"),
    [
        ("wal", "log", "import os, threading, crcmod.predefined\nfrom .errors import Corrupt\nfrom wal import fs"),
        ("beanstalkd_py", "binlog", "from wal import Log\nfrom .engine import Engine"),
        ("beanstalkd_py", "engine", "from . import replies\nimport heapq"),
        ("beanstalkd_py", "server", "import os, socket, time, gevent\nfrom .connection import Connection"),
        ("tools", "load", "import gevent, beanstalkd_py.protocol"),
    ],
)
def test_what_is_allowed_is_not_found(package, room, source):
    assert broken_rules(package, room, source) == set()


def test_a_circle_is_found():
    with pytest.raises(CycleError):
        find_circle("wal", {"log": {"wal.reader.Reader"}, "reader": {"wal.log"}})
