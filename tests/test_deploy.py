"""The files of deploy/ and debian/, and the Dockerfile: each option in them exists, they agree with
each other, and they do what docs/operating.md says.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from release import unit

from beanstalkd_py import __version__, ping
from beanstalkd_py.config import file
from beanstalkd_py.config.flags import parse
from beanstalkd_py.config.options import Options
from beanstalkd_py.config.table import IN_FILE

ROOT = Path(__file__).resolve().parents[1]
SYSTEMD = ROOT / "deploy" / "systemd"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
INSTRUCTIONS = [
    (name, value)
    for name, value in re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)
]
RESOURCES = {
    resource["kind"]: resource
    for resource in yaml.safe_load_all((ROOT / "deploy/kubernetes/statefulset.yaml").read_text())
}


def chosen(words: list[str]) -> Options:
    """What a server with this command line runs with; of /etc, it reads the file of deploy/."""
    given = parse(words[1:], words[0])
    if given.config is None:
        return given.over({})
    assert given.config == unit.INSTALLED_CONFIG
    return given.over(file.read(str(unit.CONFIG)))


# systemd


def repeated(key: str) -> list[list[str]]:
    """The values of a key of the service that may stand there more than once."""
    return [
        shlex.split(value)
        for value in re.findall(rf"^{key}=(.*)$", unit.SERVICE.read_text(), re.MULTILINE)
    ]


def test_service_waits_for_an_address_that_comes_later() -> None:
    """systemd's own RestartSec is 0.1 s, and after five starts in ten seconds it gives up."""
    service = unit.read()
    assert service["Service"]["RestartSec"] == "1"
    assert service["Unit"]["StartLimitIntervalSec"] == "0"


def test_service_starts_with_options_that_exist() -> None:
    options = chosen(unit.command())
    assert (options.address, options.port, options.wal_dir) == (
        "127.0.0.1", "11300", "/var/lib/beanstalkd-py"
    )  # fmt: skip


def test_reload_checks_the_file_before_the_server_reads_it() -> None:
    """Without --config, SIGHUP ends the server."""
    check, hang_up = repeated("ExecReload")
    given = parse(check[1:], check[0])
    assert given.check_config and given.config == unit.INSTALLED_CONFIG
    assert parse(unit.command()[1:], "").config == given.config
    assert hang_up == ["/bin/kill", "-HUP", "$MAINPID"]


def test_user_directory_and_address_are_the_same_everywhere() -> None:
    service = unit.read()["Service"]
    user, directory = service["User"], f"/var/lib/{service['StateDirectory']}"
    assert directory == unit.DIRECTORY
    assert (SYSTEMD / "sysusers.conf").read_text().split()[:2] == ["u", user]
    assert (SYSTEMD / "tmpfiles.conf").read_text().split() == [
        "d", directory, service["StateDirectoryMode"], user, user, "-"
    ]  # fmt: skip
    socket = (SYSTEMD / "beanstalkd-py.socket").read_text()
    assert "\nListenStream=127.0.0.1:11300\n" in socket


def test_service_has_a_directory_for_unix_sockets() -> None:
    """The rest of /run is read-only for it."""
    service = unit.read()["Service"]
    assert service["ProtectSystem"] == "strict"
    named = re.findall(r'"unix:(/run/[\w-]+)/\w+"', unit.CONFIG.read_text())
    assert set(named) == {f"/run/{service['RuntimeDirectory']}"}


def test_comments_of_the_file_name_options_that_exist() -> None:
    named = re.findall(r"^#?(\w+) = ", unit.CONFIG.read_text(), re.MULTILINE)
    assert set(named) <= IN_FILE.keys() and len(named) > 3


# Debian


def test_debian_version_is_that_of_the_server() -> None:
    changelog = (ROOT / "debian" / "changelog").read_text()
    assert changelog.startswith(f"beanstalkd-py ({__version__}) ")


@pytest.mark.parametrize("name", ["service", "socket", "sysusers", "tmpfiles"])
def test_debian_installs_the_files_of_deploy(name: str) -> None:
    ours = SYSTEMD / (f"{name}.conf" if name[-1] == "s" else f"beanstalkd-py.{name}")
    assert (ROOT / "debian" / f"beanstalkd-py.{name}").read_text() == ours.read_text()


def test_debian_removes_no_jobs() -> None:
    script = (ROOT / "debian" / "beanstalkd-py.postrm").read_text()
    commands = [line for line in script.splitlines() if not line.lstrip().startswith("echo ")]
    assert unit.DIRECTORY in script
    assert not [line for line in commands if re.search(r"\brm(dir)?\b", line)]


# The image


def values(name: str) -> list[str]:
    """Of the final stage."""
    last = max(at for at, (each, _) in enumerate(INSTRUCTIONS) if each == "FROM")
    return [value for each, value in INSTRUCTIONS[last:] if each == name]


def test_image_runs_the_server_as_a_user_of_its_own() -> None:
    assert [json.loads(value) for value in values("ENTRYPOINT")] == [["beanstalkd-py"]]
    ((uid, gid),) = [value.split(":") for value in values("USER")]
    (users,) = values("RUN")
    assert f"--gid {gid} beanstalkd-py" in users and f"--uid {uid} " in users
    assert int(uid) > 0


def test_image_keeps_jobs_in_its_volume() -> None:
    (words,) = map(json.loads, values("CMD"))
    assert [chosen(["beanstalkd-py", *words]).wal_dir] == values("VOLUME") == ["/data"]


def test_image_is_pinged_where_it_listens() -> None:
    """Without a port among the arguments, it listens on all addresses, port 11300."""
    (check,) = values("HEALTHCHECK")
    words = json.loads(check.partition("CMD ")[2])
    pinged = ping.parser("").parse_args(words[2:])
    assert words[:2] == ["beanstalkd-py", "ping"]
    assert pinged.address == ("127.0.0.1", 11300)
    assert values("EXPOSE") == ["11300"]
    (timeout,) = re.findall(r"--timeout=(\d+)s", check)
    assert int(timeout) > pinged.timeout


def test_image_is_stopped_in_order() -> None:
    assert values("STOPSIGNAL") == ["SIGTERM"]


def test_image_gets_the_files_that_it_is_built_from() -> None:
    """.dockerignore leaves out everything else, also what is new."""
    first, *others = [
        line
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    kept = {line[1:] for line in others if line.startswith("!")}
    assert first == "*"
    assert {"setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"} < kept
    assert all((ROOT / path).exists() for path in kept)
    config = (ROOT / "setup.cfg").read_text()
    folders = {path.split("/")[0] for path in re.findall(r"^    \w+ = (\w+/\w+)$", config, re.M)}
    assert folders == {"tools", "wal"} <= {path.split("/")[0] for path in kept}


# Kubernetes


def container() -> dict[str, Any]:
    (found,) = RESOURCES["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_pod_has_the_user_and_the_directory_of_the_image() -> None:
    pod = RESOURCES["StatefulSet"]["spec"]["template"]["spec"]["securityContext"]
    assert values("USER") == [f"{pod['runAsUser']}:{pod['runAsGroup']}"]
    assert pod["fsGroup"] == pod["runAsGroup"]
    options = chosen(["beanstalkd-py", *container()["args"]])
    assert options.wal_dir == container()["volumeMounts"][0]["mountPath"]
    assert options.wal_dir in values("VOLUME")


def test_pod_is_reached_on_the_port_that_it_listens_on() -> None:
    (port,) = RESOURCES["Service"]["spec"]["ports"]
    assert [port["port"]] == [each["containerPort"] for each in container()["ports"]] == [11300]
    labels = RESOURCES["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert RESOURCES["Service"]["spec"]["selector"] == labels
    assert (
        RESOURCES["StatefulSet"]["spec"]["serviceName"]
        == (RESOURCES["Service"]["metadata"]["name"])
    )


@pytest.mark.parametrize("kind", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probe_gives_ping_the_time_that_it_takes(kind: str) -> None:
    """The default of timeoutSeconds is 1."""
    probe = container()[kind]
    words = probe["exec"]["command"]
    assert words[:2] == ["beanstalkd-py", "ping"]
    assert probe["timeoutSeconds"] > ping.parser("").parse_args(words[2:]).timeout


def test_pod_is_not_killed_while_it_reads_its_log() -> None:
    """The liveness probe begins when the startup probe has succeeded."""
    probe = container()["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 3600


def test_image_of_the_pod_has_the_version_of_the_server() -> None:
    assert container()["image"].endswith(f":{__version__}")
