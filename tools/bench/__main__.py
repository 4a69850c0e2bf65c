"""`make bench`: jobs per second and the server's CPU time per job, beside those of the C server, on this machine and in the same minutes.

The load is beanload (see --beanload), compiled on the spot, pinned to one core; the server is pinned to another. CPU per job is what to
compare from change to change, since wall time is noisy where other things run. Prints a Markdown table.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT.parent / "shared" / "bench" / "beanload.c"
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 20.0  # for a server to answer


class Load(NamedTuple):
    """One row: what beanload is told, and how many jobs for a server that is durable or not."""

    name: str
    arguments: str
    durable_jobs: int
    memory_jobs: int


# All puts together stay below 2^20: beanload takes the job whose id crosses that for one it has seen.
LOADS = (
    Load("1 producer, 1 in flight", "-P 1 -d 1", 4000, 20000),
    Load("50 producers, 1 in flight", "-P 50 -d 1", 50000, 100000),
    Load("50 consumers, 1 in flight", "-C 50 -d 1", 50000, 100000),
    Load("50 producers, 50 in flight", "-P 50 -d 50", 200000, 200000),
    Load("50 consumers, 50 in flight", "-C 50 -d 50", 200000, 200000),
    Load("50 + 50, 1 in flight", "-P 50 -C 50 -d 1", 50000, 100000),
    Load("50 + 50, 50 in flight", "-P 50 -C 50 -d 50", 200000, 200000),
)


class Server(NamedTuple):
    """One column."""

    name: str
    command: list[str]
    durable: bool
    slow: int  # divides the jobs of durable rows: the C server syncs for each job


def servers(directory: Path) -> list[Server]:
    """What there is to measure."""
    ours = [sys.executable, "-m", "beanstalkd_py"]
    found = [Server("ours -b", [*ours, "-b", str(directory / "ours")], True, 1), Server("ours, memory", ours, False, 1)]
    c_server = shutil.which("beanstalkd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if c_server:
        found.insert(1, Server("C -b -f0", [c_server, "-f0", "-b", str(directory / "c")], True, 10))
        found.append(Server("C, memory", [c_server], False, 1))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pinned(core: int, command: list[str]) -> list[str]:
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "-c", str(cores[core % len(cores)]), *command] if shutil.which("taskset") else command


def start(server: Server, port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(pinned(0, [*server.command, "-l", "127.0.0.1", "-p", str(port)]), cwd=ROOT)
    until = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return process
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.02)


def measure(server: Server, load: Load, beanload: Path, port: int, pid: int, divisor: int) -> dict[str, Any]:
    jobs = max(1000, (load.durable_jobs if server.durable else load.memory_jobs) // (server.slow * divisor))
    command = [str(beanload), "-p", str(port), *load.arguments.split(), "-n", str(jobs)]
    before = cpu_seconds(pid)
    output = subprocess.run(pinned(1, command), check=True, stdout=subprocess.PIPE).stdout
    result: dict[str, Any] = json.loads(output)
    result["cpu_us"] = (cpu_seconds(pid) - before) / jobs * 1e6
    return result


def median_latency(result: dict[str, Any]) -> str:
    return "/".join(str(result[kind]["p50"]) for kind in ("put_us", "delete_us") if kind in result)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--beanload", type=Path, default=SOURCE, help="source of the load generator (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the jobs")
    chosen = parser.parse_args()
    if not chosen.beanload.exists() or not shutil.which("cc"):
        print(f"bench: needs a C compiler and {chosen.beanload}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(dir=ROOT) as name:
        directory = Path(name)
        beanload = directory / "beanload"
        subprocess.run(["cc", "-O2", "-o", str(beanload), str(chosen.beanload)], check=True)
        columns = servers(directory)
        cells: dict[tuple[str, str], dict[str, Any]] = {}
        for server in columns:
            for folder in ("ours", "c"):
                (directory / folder).mkdir(exist_ok=True)
            port = free_port()
            process = start(server, port)
            try:
                for load in LOADS:
                    cells[server.name, load.name] = measure(server, load, beanload, port, process.pid, 10 if chosen.quick else 1)
                    print(".", end="", file=sys.stderr, flush=True)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait()
    print(file=sys.stderr)
    print("Jobs per second, CPU us per job, median us to the reply of put/delete.\n")
    print("| | " + " | ".join(server.name for server in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for load in LOADS:
        row = [cells[server.name, load.name] for server in columns]
        print(f"| {load.name} | " + " | ".join(f"{c['jobs_per_s'] / 1000:.1f}k, {c['cpu_us']:.1f}, {median_latency(c)}" for c in row) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
