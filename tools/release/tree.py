"""The files of the work tree that belong to a release: those that git does not ignore."""

from __future__ import annotations

import shutil
from pathlib import Path

from .command import ROOT, run


def files(root: Path = ROOT) -> list[str]:
    """Relative paths. A file that was removed, but not from git's index, is not among them."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root)
    return sorted({name for name in listed.split("\0") if name and (root / name).exists()})


def is_committed(root: Path = ROOT) -> bool:
    return not run(["git", "status", "--porcelain"], cwd=root)


def committed_at(root: Path = ROOT) -> str:
    """The time of the last commit, in seconds since 1970."""
    return run(["git", "log", "-1", "--format=%ct"], cwd=root).strip()


def copy(to: Path, root: Path = ROOT) -> list[str]:
    """Copies the files into an empty directory, and returns their paths. Symbolic links stay."""
    shutil.rmtree(to, ignore_errors=True)
    names = files(root)
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, to / name, follow_symlinks=False)
    return names
