"""Mutants of "one writer"."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

WRITER = (
    Mutant(
        Invariant.ONE_WRITER,
        "lock-not-taken",
        "the lock file is opened but not locked",
        "wal/beanstalkd_wal/fs.py",
        "            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        ("tests/wal/test_lock.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "another-kind-of-lock",
        "the lock is taken with flock, which the C server does not see",
        "wal/beanstalkd_wal/fs.py",
        "            fcntl.lockf(handle, ",
        "            fcntl.flock(handle, ",
        ("tests/wal/test_lock.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "spares-named-like-segments-of-c",
        "spares have names that the C server would unlink",
        "wal/beanstalkd_wal/names.py",
        '    return os.path.join(directory, f"spare.{number}")\n',
        '    return os.path.join(directory, f"binlog.{number}")\n',
        ("tests/wal/test_preparer.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "linked-segment-reused",
        "a retired segment becomes a spare although a copy of the directory has the same file",
        "wal/beanstalkd_wal/preparer.py",
        "        reuse = reuse and fs.links(path) == 1\n",
        "",
        ("tests/wal/test_retire.py -k another_name",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "linked-segment-written",
        "a start writes to a segment although a copy of the directory has the same file",
        "wal/beanstalkd_wal/recover.py",
        "    if directory.may_reuse and fs.links(info.path) > 1:\n",
        "    if False:\n",
        ("tests/wal/test_hard_links.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "rename-replaces",
        "a segment gets a name that another server has taken",
        "wal/beanstalkd_wal/fs.py",
        "        if not rename_exclusively(old, new):\n"
        "            self._rename_by_link(old, new)\n",
        "        os.rename(old, new)\n",
        ("tests/wal/test_fs.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "lost-lock-ignored",
        "a server goes on after its lock file was removed",
        "wal/beanstalkd_wal/locking.py",
        "        if not self._fs.is_open(self._handle, self.path):\n",
        "        if False:\n",
        ("tests/wal/test_lock.py", "tests/wal/test_second_writer.py"),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "directory-not-locked",
        "only the lock file is locked, not the directory",
        "wal/beanstalkd_wal/fs.py",
        "            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)\n",
        "            pass\n",
        ("tests/wal/test_lock.py",),
    ),
    Mutant(
        Invariant.ONE_WRITER,
        "shorter-branch-kept",
        "of what two servers wrote, repair keeps the branch with fewer records",
        "wal/beanstalkd_wal/branches.py",
        "        if records > self._records_in(later):\n",
        "        if records < self._records_in(later):\n",
        ("tests/wal/test_branches.py",),
    ),
)
