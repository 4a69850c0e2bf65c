"""How much memory the process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from beanstalkd_py.host import memory
from beanstalkd_py.host.memory import LEAST_BYTES, automatic_limit, memory_bytes

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


def test_limit_of_version_2_is_the_least_on_the_path(tmp_path: Path) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "memory.max").write_text("max\n")
    (tmp_path / "a/memory.max").write_text(f"{300 * MIB}\n")
    cgroups = tmp_path / "cgroup"
    cgroups.write_text("0::/a/b\n")
    assert memory_bytes(cgroups, tmp_path) == 300 * MIB
    (inner / "memory.max").write_text(f"{200 * MIB}\n")
    assert memory_bytes(cgroups, tmp_path) == 200 * MIB


def test_limit_from_which_the_kernel_slows_the_process_down_counts(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{300 * MIB}\n")
    (tmp_path / "memory.high").write_text(f"{250 * MIB}\n")
    cgroups = tmp_path / "cgroup"
    cgroups.write_text("0::/\n")
    assert memory_bytes(cgroups, tmp_path) == 250 * MIB


def test_limit_of_version_1(tmp_path: Path) -> None:
    folder = tmp_path / "memory/a"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{300 * MIB}\n")
    (tmp_path / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    cgroups = tmp_path / "cgroup"
    cgroups.write_text("4:cpu,memory:/a\n1:name=systemd:/\n0::/\n")
    assert memory_bytes(cgroups, tmp_path) == 300 * MIB


def test_own_root_of_a_container_is_found(tmp_path: Path) -> None:
    """The path is that of the host, which the container does not see."""
    (tmp_path / "memory.max").write_text(f"{300 * MIB}\n")
    cgroups = tmp_path / "cgroup"
    cgroups.write_text("0::/docker/1234\n")
    assert memory_bytes(cgroups, tmp_path) == 300 * MIB


@pytest.mark.parametrize("text", [None, "", "0::/none\n", "\n", "odd\n0::\n"])
def test_without_a_limit_the_machine_counts(tmp_path: Path, text: str | None) -> None:
    cgroups = tmp_path / "cgroup"
    if text is not None:
        cgroups.write_text(text)
    assert memory_bytes(cgroups, tmp_path) == MACHINE


def test_automatic_limit_leaves_a_fifth_and_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "memory_bytes", lambda: 1000 * MIB)
    monkeypatch.setattr(memory, "in_use", lambda: (0, 50 * MIB))
    assert automatic_limit(0) == 750 * MIB
    assert automatic_limit(20 * MIB) == 770 * MIB
    monkeypatch.setattr(memory.resource, "getrlimit", lambda which: (500 * MIB, 500 * MIB))
    monkeypatch.setattr(memory, "in_use", lambda: (100 * MIB, 50 * MIB))
    assert automatic_limit(0) == 300 * MIB
    monkeypatch.setattr(memory, "in_use", lambda: (500 * MIB, 50 * MIB))
    assert automatic_limit(0) == LEAST_BYTES
