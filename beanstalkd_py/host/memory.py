"""How much memory this process may use, by the limits of the machine, its cgroups and itself."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SHARE = 5  # of 5 parts of the memory, 4 are for the jobs and the process without jobs
LEAST_BYTES = 1 << 20
# Above memory.high the kernel slows the process down until it hardly runs.
VERSION_2: tuple[str, ...] = ("memory.max", "memory.high")
VERSION_1: tuple[str, ...] = ("memory.limit_in_bytes",)


def automatic_limit(job_bytes: int) -> int:
    """80 % of the memory, less what the process takes without its jobs. job_bytes: what its jobs
    take now.
    """
    space, resident = in_use()
    limits = [_share(memory_bytes()) - max(resident - job_bytes, 0)]
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        limits.append(_share(soft) - max(space - job_bytes, 0))
    return max(min(limits), LEAST_BYTES)


def memory_bytes(
    cgroups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int:
    """The memory of the machine, or the limit of a cgroup if that is less."""
    machine = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    return min([machine, *_cgroup_limits(cgroups, mounted)])


def _share(nbytes: int) -> int:
    return nbytes // SHARE * (SHARE - 1)


def _cgroup_limits(cgroups: Path, mounted: Path) -> Iterator[int]:
    """The limits of the process's cgroups and of those above them, version 2 and 1."""
    try:
        lines = cgroups.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            roots, names = [mounted, mounted / "unified"], VERSION_2
        elif "memory" in controllers.split(","):
            roots, names = [mounted / "memory"], VERSION_1
        else:
            continue
        inner = Path(path.lstrip("/"))
        for root in roots:
            # In a container, the root is often that of the process itself, so `path` is not there.
            for folder in (inner, *inner.parents):
                yield from filter(None, (_number(root / folder / name) for name in names))


def _number(path: Path) -> int:
    """0 if the file is missing, or says "max"."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def in_use() -> tuple[int, int]:
    """Address space and resident memory of this process in bytes; 0 without /proc."""
    try:
        space, resident = Path("/proc/self/statm").read_text().split()[:2]
    except OSError:
        return 0, 0
    return int(space) * _PAGE_BYTES, int(resident) * _PAGE_BYTES
