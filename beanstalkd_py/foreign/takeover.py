"""Take-over: the server starts in a directory with binlog files of the C server, and imports them.

The jobs are imported into our log in the same directory and made durable (`importing`). Only after
that the old files are moved into `DIR/beanstalkd-binlog-DATE/`. They are never deleted. After a
crash:

- before the import is durable: the old files are intact and in place, and the next start imports
  them again;
- after that: the next start only moves the files that have not been moved yet.

The IMPORT records hold the folder's name, and the name, size and modification time of each old
file. So if the C server has written to a file after the import, the file does not count as
imported.
"""

import os

import beanstalkd_wal as wal
from beanstalkd_wal.fs import sync_names

from beanstalkd_py.foreign.importing import Present, Progress, Report, no_progress, read, write
from beanstalkd_py.foreign.old_files import OLD_FILE


def take_over(
    directory: str,
    *,
    segment_bytes: int,
    wall_now: int,
    date: str,
    accept_damaged: bool,
    report: Report,
    progress: Progress = no_progress,
) -> None:
    """Takes over the jobs of the C server's files in `directory`, which is locked and for which
    `old_files.present` is true.

    date: for the name of the folder that the files are moved to. Other arguments and exceptions as
    for `importing.bring_in`.
    """
    present = Present(directory)
    files = _manifest(directory)
    if present.is_imported and all(entry in present.files for entry in files):
        folder = present.folder
        report("the take-over of the C server's binlog continues: its jobs are in the log already")
    else:
        folder = _new_folder(directory, date)
        found = read(directory, present, accept_damaged, report, progress)
        manifest: dict[str, object] = {"folder": folder, "files": files}
        write(found, present, manifest, segment_bytes, wall_now, report)
    _move(directory, folder, [name for name, _, _ in files])
    report(f"the C server's binlog files are kept in {os.path.join(directory, folder)}")


def _manifest(directory: str) -> list[list[object]]:
    """Name, bytes and modification time (ns) of each of the C server's files."""
    entries: list[list[object]] = []
    for name in sorted(filter(OLD_FILE.fullmatch, os.listdir(directory))):
        found = os.stat(os.path.join(directory, name))
        entries.append([name, found.st_size, found.st_mtime_ns])
    return entries


def _new_folder(directory: str, date: str) -> str:
    """A name that does not exist yet."""
    name = f"beanstalkd-binlog-{date}"
    tries = 1
    folder = name
    while os.path.exists(os.path.join(directory, folder)):
        tries += 1
        folder = f"{name}-{tries}"
    return folder


def _move(directory: str, folder: str, names: list[object]) -> None:
    """Moves the files, durably."""
    target = os.path.join(directory, folder)
    os.makedirs(target, exist_ok=True)
    for name in map(str, names):
        wal.FileSystem().rename(os.path.join(directory, name), os.path.join(target, name))
    for path in (target, directory):
        sync_names(path)  # if the file system cannot, the opening of the log reports it
