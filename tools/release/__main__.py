"""python -m release [wheels | debian]: builds a release in dist, and checks it."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tarfile
from pathlib import Path

from manual import share
from testkit.daemon import DidNotStart

from beanstalkd_py import __version__

from . import check, clean_root, debian, notes, sbom, tree, wheels
from .command import ROOT, Failed

WORK, DIST = ROOT / "build" / "release", ROOT / "dist"


def release() -> None:
    """Everything. What fails soonest comes first."""
    if not tree.is_committed():
        say("some changes are not committed, and they are in this release")
    DIST.joinpath("NOTES.md").write_text(notes.notes(_changelog(), __version__))
    check.lint()
    build_wheels()
    say("trying the wheels in empty environments")
    python = check.check(WORK, DIST)
    sbom.write(python, DIST / f"beanstalkd-py-{__version__}.cdx.json", WORK)
    pack_share()
    build_debian()
    DIST.joinpath("SHA256SUMS").write_text(sums(DIST))


def build_wheels() -> None:
    say("building the source distribution and the wheels")
    wheels.build(WORK, DIST)


def build_debian() -> None:
    say("building the Debian package")
    package = debian.build(WORK, DIST)
    if os.geteuid() != 0:
        raise Failed("only root can try the Debian package in a clean root")
    say("trying the Debian package in a clean root")
    clean_root.try_package(package, WORK)


def pack_share() -> None:
    share.write(WORK / "share")
    with tarfile.open(DIST / f"beanstalkd-py-share-{__version__}.tar.gz", "w:gz") as tar:
        for folder in sorted((WORK / "share").iterdir()):
            tar.add(folder, folder.name)


def sums(directory: Path) -> str:
    """For `sha256sum --check`."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(directory.iterdir())
        if path.name != "SHA256SUMS"
    )


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


def say(line: str) -> None:
    print(f"release: {line}", flush=True)


STEPS = {"all": release, "wheels": build_wheels, "debian": build_debian}


def main(words: list[str]) -> int:
    step = STEPS.get(" ".join(words) or "all")
    if step is None:
        print(__doc__, file=sys.stderr)
        return 2
    for directory in WORK, DIST:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
    try:
        step()
    except (Failed, DidNotStart) as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    for path in sorted(DIST.iterdir()):
        say(f"dist/{path.name}: {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
