import errno
import fcntl
import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from testkit.waiting import HANG_S

from beanstalkd_py.options import Options
from beanstalkd_py.server import listen as listen_module
from beanstalkd_py.server.listen import ListenFailed, address_of, listen


def open_listeners(address=None, port="0", said=None, environ=None):
    report = pytest.fail if said is None else said.append
    return closing(
        listen(Options(address=address, port=port), report, {} if environ is None else environ)
    )


def failure(address=None, port="0", environ=None):
    with pytest.raises(ListenFailed) as caught:
        listen(Options(address=address, port=port), pytest.fail, {} if environ is None else environ)
    assert caught.value.status == 111
    return caught.value.lines


def answers(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(HANG_S)
        return client.connect_ex(address) == 0


# TCP


@pytest.mark.parametrize(
    ("address", "family", "host"),
    [
        (None, socket.AF_INET, "0.0.0.0"),
        ("127.0.0.1", socket.AF_INET, "127.0.0.1"),
        ("localhost", None, None),
        ("::1", socket.AF_INET6, "::1"),
    ],
)
def test_listener_takes_a_name_or_an_address(address, family, host):
    with open_listeners(address) as listeners:
        (listener,) = listeners.sockets
        assert family in (None, listener.family) and host in (None, listener.getsockname()[0])
        assert not listener.getblocking()
        assert answers(listener.family, listener.getsockname())


def test_accepted_connections_have_keepalive_and_nodelay():
    with open_listeners("127.0.0.1") as listeners, socket.socket() as client:
        listener = listeners.sockets[0]
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        client.connect(listener.getsockname())
        with listener.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


def test_port_can_be_used_again_right_after_a_stop():
    """The server's side closes first, so that its end of the connection stays in TIME_WAIT."""
    with open_listeners("127.0.0.1") as listeners, socket.socket() as client:
        port = listeners.sockets[0].getsockname()[1]
        client.connect(("127.0.0.1", port))
        listeners.sockets[0].accept()[0].close()
        assert client.recv(1) == b""
    with open_listeners("127.0.0.1", str(port)):
        pass


def test_backlog_holds_many_connections():
    """As many as the kernel allows, up to 1024; Python's own default is 128."""
    assert listen_module.BACKLOG == 1024
    with open_listeners("127.0.0.1") as listeners:
        # TCP_INFO shows the backlog of a listening socket as tcpi_sacked (offset 28).
        info = listeners.sockets[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        with open("/proc/sys/net/core/somaxconn") as file:
            assert int.from_bytes(info[28:32], sys.byteorder) == min(1024, int(file.read()))


@pytest.fixture
def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("shape", ["{}", "+{}", " {}", "0{}"])
def test_port_has_any_form_that_getaddrinfo_reads(free_port, shape):
    with open_listeners("127.0.0.1", shape.format(free_port)) as listeners:
        assert listeners.sockets[0].getsockname()[1] == free_port


def test_port_above_65535_wraps(free_port):
    with open_listeners("127.0.0.1", str(free_port + 65536)) as listeners:
        assert listeners.sockets[0].getsockname()[1] == free_port


@pytest.mark.parametrize("port", ["", "0", "65536"])
def test_port_0_is_chosen_by_the_kernel(port):
    with open_listeners("127.0.0.1", port) as listeners:
        assert listeners.sockets[0].getsockname()[1] > 0


def test_service_names_are_ports(monkeypatch):
    """Which port a name stands for is the resolver's matter; that the name reaches it is ours."""
    asked = []

    def getaddrinfo(host, port, **how):
        asked.append((host, port))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for options in (
        Options(port="http"),
        Options(address="queue.example"),
        Options(address="", port=""),
    ):
        listen(options, pytest.fail, {}).close()
    assert asked == [(None, b"http"), (b"queue.example", b"11300"), (b"", b"")]


@pytest.mark.parametrize("port", ["abc", "-1", "24010x"])
def test_invalid_port_fails(port):
    assert failure("127.0.0.1", port) == (
        f"127.0.0.1:{port}: getaddrinfo(): Servname not supported for ai_socktype",
    )


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64])
def test_unresolvable_name_fails(name):
    (line,) = failure(name)
    assert line.startswith(f"{name}:0: getaddrinfo(): ")


def test_address_in_use_fails():
    with open_listeners("127.0.0.1") as listeners:
        port = str(listeners.sockets[0].getsockname()[1])
        assert failure("127.0.0.1", port) == (f"127.0.0.1:{port}: bind(): Address already in use",)


def test_address_of_another_machine_fails():
    assert failure("192.0.2.1") == ("192.0.2.1:0: bind(): Cannot assign requested address",)


def test_first_working_address_of_a_name_is_used(monkeypatch):
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere, here, here])
    with open_listeners("queue.example") as listeners:
        assert [each.getsockname()[0] for each in listeners.sockets] == ["127.0.0.1"]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [elsewhere, elsewhere])
    assert len(failure("queue.example")) == 2


def test_addresses_are_shown_in_usual_notation(tmp_path):
    with open_listeners("127.0.0.1") as listeners:
        port = listeners.sockets[0].getsockname()[1]
        assert address_of(listeners.sockets[0]) == f"127.0.0.1:{port}"
    with open_listeners("::1") as listeners:
        port = listeners.sockets[0].getsockname()[1]
        assert address_of(listeners.sockets[0]) == f"[::1]:{port}"
    with open_listeners(f"unix:{tmp_path}/s") as listeners:
        assert address_of(listeners.sockets[0]) == f"{tmp_path}/s"
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{tmp_path}")
        assert address_of(abstract) == f"@{tmp_path}"


# Unix


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Relative, because pytest's own folders may be too long for a socket."""
    monkeypatch.chdir(tmp_path)
    return "beanstalkd.sock"


def leave_stale(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
        dead.listen()


def test_unix_socket_file_is_removed_at_the_end(path):
    with open_listeners(f"unix:{path}", port="no matter") as listeners:
        assert not listeners.sockets[0].getblocking()
        assert answers(socket.AF_UNIX, path)
    assert not os.path.lexists(path)


def test_unix_socket_mode_comes_from_the_umask(path):
    before = os.umask(0o027)
    try:
        with open_listeners(f"unix:{path}"):
            assert stat.S_IMODE(os.lstat(path).st_mode) == 0o750
    finally:
        os.umask(before)


def test_socket_file_is_removed_after_a_change_of_directory(path, tmp_path, monkeypatch):
    with open_listeners(f"unix:{path}"):
        monkeypatch.chdir("/")
    assert not (tmp_path / path).exists()


def test_socket_of_a_dead_server_is_replaced(path):
    leave_stale(path)
    said = []
    with open_listeners(f"unix:{path}", said=said):
        assert said == ["removing existing local socket to replace it"]
        assert answers(socket.AF_UNIX, path)


def test_socket_of_a_live_server_is_not_taken(path):
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(path)
        alive.listen()
        before = os.lstat(path)
        assert failure(f"unix:{path}") == (f"unix:{path}: another server is listening there",)
        assert os.path.samestat(os.lstat(path), before)


def test_server_with_a_full_backlog_counts_as_alive(path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(path)
        busy.listen(0)
        client.connect(path)  # fills the backlog
        (line,) = failure(f"unix:{path}")
        assert (
            line
            == f"unix:{path}: another server may be listening there: {os.strerror(errno.EAGAIN)}"
        )
        assert os.path.lexists(path)


def test_socket_of_another_kind_is_not_taken(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        (line,) = failure(f"unix:{path}")
        assert line.startswith(f"unix:{path}: another server may be listening there: ")
        assert os.path.lexists(path)


def test_vanished_socket_file_is_no_error(path, monkeypatch):
    """Its server may end, and remove it, at any moment."""
    leave_stale(path)
    really_check = listen_module._check_no_server_answers

    def check_what_goes(path):
        os.unlink(path)
        really_check(path)

    monkeypatch.setattr(listen_module, "_check_no_server_answers", check_what_goes)
    with open_listeners(f"unix:{path}"):
        assert answers(socket.AF_UNIX, path)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: open(path, "w").close(),
        os.mkdir,
        lambda path: os.symlink("nowhere", path),
        os.mkfifo,
    ],
)
def test_other_files_are_left_alone(path, make):
    make(path)
    before = os.lstat(path)
    assert failure(f"unix:{path}") == (
        f"unix:{path}: another file already exists in the given path",
    )
    assert os.path.samestat(os.lstat(path), before)


def test_too_long_path_fails(path):
    fits = "x" * 107
    with open_listeners(f"unix:{fits}"):
        assert answers(socket.AF_UNIX, fits)
    # 54 letters of two bytes
    long = "\N{LATIN SMALL LETTER E WITH ACUTE}" * 54
    assert failure(f"unix:{long}") == (
        f"socket path {long} is too long (108 characters), where maximum allowed is 107",
    )


def test_empty_path_fails(path):
    assert failure("unix:") == ("unix: no socket path is named",)


def test_missing_directory_fails(path):
    assert failure("unix:missing/s") == (
        "unix:missing/s: open(missing): No such file or directory",
    )


def test_only_our_own_file_is_removed(path):
    with socket.socket(socket.AF_UNIX) as other:
        with open_listeners(f"unix:{path}"):
            os.unlink(path)
            other.bind(path)
            other.listen()
        assert answers(socket.AF_UNIX, path)


def test_close_without_the_socket_file_is_no_error(path):
    with open_listeners(f"unix:{path}"):
        os.unlink(path)


def test_second_close_leaves_the_next_servers_file(path):
    first = listen(Options(address=f"unix:{path}"), pytest.fail, {})
    first.close()
    with open_listeners(f"unix:{path}"):
        first.close()
        assert answers(socket.AF_UNIX, path)


def test_lock_covers_connect_unlink_and_bind(path, monkeypatch):
    """A second server that starts while the first one replaces a stale file waits, and then finds
    it answering.
    """
    leave_stale(path)
    monkeypatch.setattr(listen_module, "LOCK_TIMEOUT_S", 0.0)
    really_check = listen_module._check_no_server_answers
    lines = []

    def check_and_let_another_start(path):
        really_check(path)
        monkeypatch.setattr(listen_module, "_check_no_server_answers", really_check)
        lines.extend(failure(f"unix:{path}"))

    monkeypatch.setattr(listen_module, "_check_no_server_answers", check_and_let_another_start)
    with open_listeners(f"unix:{path}", said=[]):
        assert lines == [f"unix:{path}: flock(.): {os.strerror(errno.EAGAIN)}"]
        assert answers(socket.AF_UNIX, path)


def test_lock_is_free_while_the_server_runs(path):
    with open_listeners(f"unix:{path}"), open_listeners("unix:another.sock"):
        fd = os.open(".", os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(fd)


STARTER = """
import sys
from beanstalkd_py.server.listen import ListenFailed, listen
from beanstalkd_py.options import Options
print("ready", flush=True)
sys.stdin.readline()
try:
    listeners = listen(Options(address="unix:" + sys.argv[1]), lambda text: None, {})
    print("listening", flush=True)
    sys.stdin.readline()
    listeners.close()
except ListenFailed as failed:
    print(*failed.lines, flush=True)
"""


def test_one_of_several_starting_servers_gets_a_stale_socket(path):
    leave_stale(path)
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=python_path(),
        )
        for _ in range(5)
    ]
    try:
        for each in starters:
            assert each.stdout.readline() == "ready\n"
        for each in starters:
            each.stdin.write("go\n")
            each.stdin.flush()
        results = sorted(each.stdout.readline() for each in starters)
        assert results == sorted(
            ["listening\n"] + 4 * [f"unix:{path}: another server is listening there\n"]
        )
        assert answers(socket.AF_UNIX, path)
    finally:
        for each in starters:
            each.communicate("end\n")
    assert not os.path.lexists(path)


# Inherited


INHERITOR = """
import json, os, socket, sys
from beanstalkd_py.server.listen import ListenFailed, address_of, listen
from beanstalkd_py.options import Options
fds, environ, options = json.loads(sys.argv[1])
for at, fd in enumerate(fds):
    os.dup2(fd, 40 + at)
for at in range(len(fds)):
    os.dup2(40 + at, 3 + at)
environ = {name: value.replace("PID", str(os.getpid())) for name, value in environ.items()}
said = []
try:
    (listener,) = listen(Options(**options), said.append, environ).sockets
    shown = [listener.fileno(), address_of(listener), listener.getblocking()]
    print(json.dumps([*shown, listener.get_inheritable(), said]))
except ListenFailed as failed:
    print(json.dumps([list(failed.lines), said]))
"""


def python_path():
    root = os.path.dirname(os.path.dirname(os.path.dirname(listen_module.__file__)))
    return {**os.environ, "PYTHONPATH": root}


def inherit(sockets, environ, **options):
    """What `listen` makes of sockets that a service manager leaves from descriptor 3 on."""
    fds = [each if isinstance(each, int) else each.fileno() for each in sockets]
    command = [sys.executable, "-c", INHERITOR, json.dumps([fds, environ, options])]
    return json.loads(
        subprocess.run(
            command, check=True, pass_fds=fds, stdout=subprocess.PIPE, env=python_path()
        ).stdout
    )


@pytest.fixture
def sockets(path):
    """Two listeners, one idle socket, one datagram socket, one pipe's end."""
    first, second = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    idle, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    with first, second, idle, datagrams:
        yield first, second, idle, datagrams


OURS = {"LISTEN_PID": "PID", "LISTEN_FDS": "1"}


def test_inherited_socket_is_used(sockets):
    assert inherit(sockets[:1], OURS) == [3, address_of(sockets[0]), False, False, []]


def test_file_of_an_inherited_unix_socket_is_kept(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        assert inherit([listener], OURS) == [3, path, False, False, []]
        assert os.path.lexists(path)


def test_address_and_port_are_ignored_with_an_inherited_socket(sockets):
    assert inherit(sockets[:1], OURS, address="192.0.2.1", port="abc")[-1] == [
        "inherited listen fd; ignoring option: -p abc",
        "inherited listen fd; ignoring option: -l 192.0.2.1",
    ]


def test_only_the_first_inherited_socket_is_used(sockets):
    result = inherit(sockets[:2], {**OURS, "LISTEN_FDS": "2"})
    assert result == [
        3,
        address_of(sockets[0]),
        False,
        False,
        ["inherited more than one listen socket; ignoring all but the first"],
    ]


@pytest.mark.parametrize("which", [2, 3])
def test_inherited_socket_that_does_not_listen_fails(sockets, which):
    assert inherit([sockets[which]], OURS) == [
        ["inherited fd is not a TCP or UNIX listening socket"],
        [],
    ]


def test_inherited_packet_listener_fails(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen()
        assert inherit([listener], OURS) == [
            ["inherited fd is not a TCP or UNIX listening socket"],
            [],
        ]


def test_inherited_file_fails(path):
    with open(path, "w") as file:
        assert inherit([file.fileno()], OURS) == [
            ["inherited fd is not a TCP or UNIX listening socket"],
            [],
        ]


def test_missing_inherited_socket_fails(sockets):
    result = inherit(sockets[:1], {**OURS, "LISTEN_FDS": "30"})
    assert result[0][0].startswith("sd_listen_fds: fd ") and result[0][0].endswith(
        ": Bad file descriptor"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("LISTEN_FDS", value) for value in ("0", "-1", "junk", "", "1x")),
        ("LISTEN_PID", "junk"),
        ("LISTEN_PID", ""),
    ],
)
def test_malformed_listen_variables_fail(name, value):
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", name: value}
    assert failure("127.0.0.1", environ=environ) == (
        f"sd_listen_fds: {name}={value} is no positive number",
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "junk"},
        {"LISTEN_PID": str(os.getpid())},
    ],
)
def test_sockets_for_another_process_are_ignored(environ):
    with open_listeners("127.0.0.1", environ=environ) as listeners:
        assert listeners.sockets[0].getsockname()[0] == "127.0.0.1"
