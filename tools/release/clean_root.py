"""The Debian package in a clean root: installed, started, killed, upgraded over itself, purged.

systemd does not run there. The server is started with the command line of the unit, as its user.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from testkit.daemon import Daemon

from . import trial, unit
from .command import Failed, run
from .debian import SYSTEM

USER = "beanstalkd-py"
HTTP = "/tmp/http"
MIRROR = "http://deb.debian.org/debian"
# Everything that is mounted disappears with the process.
_IN_ROOT = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
# systemd says what is wrong with a unit, and its exit status is 0.
_VERIFY = 'said=$(systemd-analyze verify --man=no "$@" 2>&1); echo "$said"; test -z "$said"'
_UNITS = ["beanstalkd-py.service", "beanstalkd-py.socket"]
_MOST_EXPOSED = "--threshold=20"  # 2.0 of 10
_APT = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y", "--no-install-recommends"]


def try_package(package: Path, work: Path) -> None:
    root = Root(work / "root")
    root.make()
    root.install(package)
    root.run(["dpkg", "--verify", "beanstalkd-py"])
    root.run(["sh", "-c", _VERIFY, "sh", *_UNITS])
    root.run(["systemd-analyze", "security", "--offline=true", _MOST_EXPOSED, _UNITS[0]])
    root.run(["test", "-e", f"/usr/share/man/man1/{USER}.1.gz"])
    with root.server() as server:
        trial.through_a_kill(server, root.words(unit.PROGRAM), root.path / HTTP[1:])
        server.start()
        root.install(package, "--reinstall")
        trial.take(server)  # the old server goes on until it is restarted
        trial.put(server)
        server.stop()
        trial.take(server.start())
        trial.put(server)
        server.stop()
    jobs = root.jobs()
    said = root.run([*_APT, "purge", "beanstalkd-py"])
    if f"kept in {unit.DIRECTORY}" not in said or root.jobs() != jobs or not jobs:
        raise Failed(f"the purge has changed the jobs, or does not say that it keeps them: {said}")
    if (root.path / unit.INSTALLED_CONFIG[1:]).exists():
        raise Failed(f"the purge has left {unit.INSTALLED_CONFIG}")
    root.install(package)
    with root.server() as server:
        trial.take(server.start())


class Root:
    """A directory with a minimal Debian."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        run(["debootstrap", "--variant=minbase", _suite(), self.path, MIRROR], environ=SYSTEM)
        self.run([*_APT, "update"])

    def words(self, *command: str) -> list[str]:
        """The command, for a process outside."""
        return ["unshare", "--mount", "sh", "-c", _IN_ROOT, str(self.path), *command]

    def run(self, command: list[str]) -> str:
        return run(self.words(*command), environ=SYSTEM)

    def install(self, package: Path, *options: str) -> None:
        shutil.copy(package, self.path / "tmp")
        self.run([*_APT, *options, "install", f"/tmp/{package.name}"])

    def server(self) -> Daemon:
        become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        return trial.daemon(unit.command(), HTTP, self.words(*become))

    def jobs(self) -> dict[str, str]:
        """The files with jobs, with their checksums."""
        directory = self.path / unit.DIRECTORY[1:]
        return {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.glob("*.wal")
        }


def _suite() -> str:
    """The Debian of this machine, whose Python the package is built for."""
    facts = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in facts if "=" in line)["VERSION_CODENAME"]
