"""The source distribution, and two wheels that are built from it.

The compiled wheel is for this Python and for every Linux with an older C library than this one. The
pure wheel is for all other Pythons and machines; pip prefers the compiled one.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

from . import tree
from .command import Failed, Words, run

_BUILD: Words = [sys.executable, "-m", "build"]


def build(work: Path, dist: Path) -> None:
    """work: a directory for copies and steps in between."""
    copied = work / "source"
    names = tree.copy(copied)
    dated = {"SOURCE_DATE_EPOCH": tree.committed_at()}
    run([*_BUILD, "--sdist", "--outdir", dist, copied], environ=dated)
    unpacked = unpack(source(dist), work, names)
    wheel = [*_BUILD, "--wheel", unpacked, "--outdir"]
    run([*wheel, dist], environ={**dated, "BEANSTALKD_COMPILED": "0"})
    run([*wheel, work], environ={**dated, "BEANSTALKD_COMPILED": "1"})
    (compiled,) = work.glob("*.whl")
    run([sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", dist, compiled])


def unpack(archive: Path, to: Path, names: Iterable[str]) -> Path:
    """The directory in the archive, which must have all these files."""
    with tarfile.open(archive) as tar:
        tar.extractall(to, filter="data")
    unpacked = to / archive.name.removesuffix(".tar.gz")
    missing = [name for name in names if not (unpacked / name).exists()]
    if missing:
        raise Failed(f"{archive.name} lacks {', '.join(missing)}: see MANIFEST.in")
    return unpacked


def source(dist: Path) -> Path:
    return _only(dist, "beanstalkd_py-*.tar.gz")


def pure(dist: Path) -> Path:
    return _only(dist, "*-py3-none-any.whl")


def compiled(dist: Path) -> Path:
    return _only(dist, "*-manylinux*.whl")


def _only(dist: Path, pattern: str) -> Path:
    found = list(dist.glob(pattern))
    if len(found) != 1:
        raise Failed(f"{dist} has {len(found)} files {pattern}, not one")
    return found[0]
