"""The Debian package, built with the machine's own Python and tools."""

from __future__ import annotations

import shutil
from pathlib import Path

from beanstalkd_py import __version__

from . import tree
from .command import Failed, run

# Debian's own Python builds the package, not that of the virtual environment.
SYSTEM = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEB_BUILD_OPTIONS": "noautodbgsym"}
NEEDED = {
    "dpkg-buildpackage": "dpkg-dev",
    "dh": "debhelper",
    "lintian": "lintian",
    "debootstrap": "debootstrap",
}


def build(work: Path, dist: Path) -> Path:
    """The package in dist. Raises Failed, also for each error that lintian finds."""
    missing = [
        package
        for program, package in NEEDED.items()
        if shutil.which(program, path=SYSTEM["PATH"]) is None
    ]
    if missing:
        raise Failed(f"the Debian package needs: apt-get install {' '.join(missing)}")
    source = work / "debian" / f"beanstalkd-py-{__version__}"
    tree.copy(source)
    run(["dpkg-checkbuilddeps"], cwd=source, environ=SYSTEM)
    run(["dpkg-buildpackage", "-b", "--no-sign"], cwd=source, environ=SYSTEM)
    (built,) = source.parent.glob("*.deb")
    run(["lintian", "--allow-root", "--fail-on", "error,warning", built], environ=SYSTEM)
    return Path(shutil.copy2(built, dist))
