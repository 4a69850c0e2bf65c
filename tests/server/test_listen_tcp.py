"""Listeners on TCP: names, addresses, ports."""

import socket
import sys

import pytest

from beanstalkd_py.config.options import Options
from beanstalkd_py.server import listen as listen_module
from beanstalkd_py.server.listen import address_of, listen
from tests.server.listeners import answers, failure, open_listeners


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
