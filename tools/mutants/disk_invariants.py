"""Mutants of the log on disks that are full, or that lack something."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

DISK = (
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "large-file-is-a-failure",
        "a limit on the size of files fails the log, instead of counting as a full disk",
        "wal/beanstalkd_wal/fs.py",
        "errno.EDQUOT, errno.EFBIG))",
        "errno.EDQUOT))",
        ("tests/wal/test_preparer.py",),
    ),
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "directory-sync-error-ignored",
        "any failed sync of a directory counts as one that the file system does not support",
        "wal/beanstalkd_wal/fs.py",
        "            if error.errno in _NO_DIRECTORY_SYNC:\n",
        "            if True:\n",
        ("tests/wal/test_fs.py", "tests/crash_recovery/test_sync_faults.py"),
    ),
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "start-needs-a-new-file",
        "a full disk without space for the name of a new file prevents a start",
        "wal/beanstalkd_wal/recover.py",
        "        spare = found.active = found.directory.new_spare()\n"
        "    except OSError as error:\n"
        "        return _only_no_space(error)\n",
        "        spare = found.active = found.directory.new_spare()\n"
        "    except OSError as error:\n"
        "        raise error\n",
        ("tests/wal/test_names_full.py",),
    ),
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "full-disk-gives-spares-away",
        "small retired segments are deleted on a full disk, where other programs take their space",
        "wal/beanstalkd_wal/preparer.py",
        "        return nbytes < (self._steps[-1] if self._full else self.step)\n",
        "        return nbytes < self.step\n",
        ("tests/wal/test_names_full.py",),
    ),
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "spare-lost-with-the-power",
        "a power cut removes preallocated segments, which a full disk does not give again",
        "wal/beanstalkd_wal/preparer.py",
        "            self.directory.sync_names()  # so the",
        "            pass  # so the",
        ("tests/wal/test_preparer.py",),
    ),
    Mutant(
        Invariant.FAILED_WRITE_IS_FINAL,
        "full-until-all-is-preallocated",
        "puts are refused until the whole headroom is preallocated, although the disk has space",
        "wal/beanstalkd_wal/spares.py",
        "        if not event.reused:\n            self.disk_full = False\n",
        "",
        ("tests/wal/test_preparer.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "any-kind-of-file-opened",
        "a FIFO with the name of a segment or of the lock file is opened, which never ends",
        "wal/beanstalkd_wal/fs.py",
        "    if not stat.S_ISREG(found.st_mode):\n",
        "    if False:\n",
        ("tests/wal/test_fs.py -k only_regular",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "failure-names-another-file",
        "the operator's line about a failure does not name the file that failed",
        "wal/beanstalkd_wal/errors.py",
        "        if error.filename and os.path.basename",
        "        if False and os.path.basename",
        ("tests/wal/test_failure_place.py", "tests/tools/simulation/test_iofaults.py"),
    ),
    Mutant(
        Invariant.TORN_IS_NOT_CORRUPT,
        "torn-tail-over-a-segment",
        "a torn tail is copied over a spare whose rename from a segment is not durable",
        "wal/beanstalkd_wal/recover.py",
        "    directory.sync_names()  # for the reason in `_reused_spare`\n",
        "",
        ("tests/wal/test_names_full.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "refused-puts-in-silence",
        "the operator does not hear that puts are refused",
        "beanstalkd_py/binlog/journal.py",
        "        self.refusals.add()\n",
        "        pass\n",
        ("tests/binlog/test_headroom.py",),
    ),
    Mutant(
        Invariant.OPERATOR_IS_TOLD,
        "refused-puts-without-bound",
        "the lines about refused puts have no bound on their rate",
        "beanstalkd_py/binlog/refusals.py",
        "            if not self._reported and now >= self._may_report_at:\n",
        "            if not self._reported:\n",
        ("tests/binlog/test_refusals.py",),
    ),
)
