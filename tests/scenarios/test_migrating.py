"""The commands of docs/migrating.md, one after another: from a C server to ours and back."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import greenstalk
import pytest
from testkit.daemon import INSTALLED, ROOT, Daemon

from tests.wire.reference import need_c_server

from .workers import client

PAGE = ROOT / "docs" / "migrating.md"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
DIRECTORY = "/var/lib/beanstalkd"


def commands() -> list[str]:
    blocks = BLOCK.findall(PAGE.read_text())
    return [line.strip() for block in blocks for line in block.splitlines()]


class Machine:
    """Services and files of the page, with another directory in place of /var/lib."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.directory = folder / "beanstalkd"
        self.directory.mkdir()
        self._stack = stack
        self.running: dict[str, Daemon] = {}

    def run(self, command: str) -> str:
        words = command.split()
        if words[:2] == ["systemctl", "start"]:
            self.start(words[2])
            return ""
        if words[:2] == ["systemctl", "stop"]:
            status = self.running.pop(words[2]).stop()
            assert status in (0, -15), command
            return ""
        done = subprocess.run(
            command.replace(DIRECTORY, str(self.directory)),
            shell=True,
            cwd=self.folder,
            env={**os.environ, "PATH": f"{Path(INSTALLED[0]).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def start(self, service: str) -> None:
        back = self.folder / "beanstalkd.back"
        program = INSTALLED if service == "beanstalkd-py" else (need_c_server(),)
        directory = back if service == "beanstalkd" and back.exists() else self.directory
        daemon = Daemon(program=program, directory=directory)
        self.running[service] = self._stack.enter_context(daemon).start()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with ExitStack() as stack:
        yield Machine(tmp_path, stack)


def fill(daemon: Daemon) -> None:
    with client(daemon, use="mails", watch="mails") as producer:
        for number in range(20):
            producer.put(f"ready {number}", priority=number % 3)
        producer.put("delayed", delay=3600)
        producer.put("buried", priority=0, ttr=77)
        producer.bury(producer.reserve(), priority=5)
        producer.delete(3)


def contents(daemon: Daemon) -> dict[int, tuple[object, ...]]:
    found: dict[int, tuple[object, ...]] = {}
    with client(daemon) as reader:
        for id in range(1, 30):
            try:
                job = reader.peek(id)
            except greenstalk.NotFoundError:
                continue
            stats = reader.stats_job(id)
            found[id] = (job.body, *(stats[key] for key in ("tube", "state", "pri", "ttr")))
    return found


def test_each_command_of_the_page(machine: Machine) -> None:
    machine.start("beanstalkd")
    fill(machine.running["beanstalkd"])
    expected = contents(machine.running["beanstalkd"])
    assert len(expected) == 21 and {each[2] for each in expected.values()} == {
        "ready", "delayed", "buried"
    }  # fmt: skip
    page = commands()
    for command in page:
        machine.run(command)
        if command.startswith("systemctl start"):
            (daemon,) = machine.running.values()
            assert contents(daemon) == expected, command
            with client(daemon, use="mails") as producer:  # ids go on, and are never reused
                expected[producer.put("new")] = ("new", "mails", "ready", 65536, 60)
            assert len(expected) in (22, 23)
    assert sum(command.startswith("systemctl") for command in page) == 4
