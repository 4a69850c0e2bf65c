"""A client of the HTTP side, over TCP or a unix socket: whole answers, or bytes as they are."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

from .waiting import HANG_S

Address = tuple[str, int] | str


class Answer:
    """body: of the response, decoded."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read().decode()


def connect(address: Address) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    connection = socket.socket(family)
    connection.settimeout(HANG_S)
    try:
        connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def get(address: Address, path: str, method: str = "GET", host: str = "localhost") -> Answer:
    return send(address, method, path, {"Host": host})


def send(
    address: Address,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: str | bytes | None = None,
) -> Answer:
    """On a connection of its own. The Host is localhost, unless the headers have another one."""
    with connect(address) as connection:
        client = http.client.HTTPConnection("localhost")
        client.sock = connection
        client.request(method, path, body, {"Host": "localhost", "Connection": "close", **headers})
        return Answer(client.getresponse())


def ask(
    address: Address, method: str, path: str, value: object = None, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of the answer. value: the body, as JSON; bytes as they are. The request comes
    from a page of the server.
    """
    data = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
    sent = {"Sec-Fetch-Site": "same-origin", **headers}
    if data is not None:
        sent = {"Content-Type": "application/json", **sent}
    answer = send(address, method, path, sent, data)
    return answer.status, json.loads(answer.body)


def talk(address: Address, request: bytes) -> bytes:
    """All that the server answers until it closes the connection."""
    with connect(address) as connection:
        connection.sendall(request)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    pieces = []
    try:
        while data := connection.recv(1 << 16):
            pieces.append(data)
    except ConnectionResetError:
        pass
    return b"".join(pieces)
