"""Requests to the JSON API of a server: right ones and wrong ones, made from its OpenAPI document.

Each answer has a status of the document, and is JSON. Reads, previews and refused requests use no
command that changes a job. The server writes nothing to stderr, and serves clients of the queue
meanwhile.
"""

from __future__ import annotations

import json
import tempfile
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

from testkit import http
from testkit.client import Client
from testkit.daemon import Daemon

from .count import Count
from .mutate import NUMBERS

REQUESTS = 150
# No end, bytes, no log, a line for the operator.
LEFT_OUT = ("events", "body", "history", "drain")
OWN_PAGE = {"Sec-Fetch-Site": "same-origin", "Content-Type": "application/json"}
TEXTS = ("a", "b", "mail", "x/y", "", "-a", "a b", "\u00e4", "\x00", "a" * 201, "7", "*", "..", "%")
BYTES = ("YQ==", "/wA=", "YQ", "=", "")
JOBS = 12
CHANGES = (
    *("put", "put-with", "delete", "bury", "release", "kick", "pause-tube", "truncate"),
    *("move-job", "set-tube", "drain"),
)


def run(seed: int, count: Count, requests: int = REQUESTS) -> None:
    rng = Random(f"api {seed}")
    with tempfile.TemporaryDirectory(prefix="fuzz.") as scratch:
        web = f"{scratch}/http"
        with Daemon(["--http", f"unix:{web}"], f"unix:{scratch}/socket") as daemon:
            daemon.start()
            document = json.loads(http.get(web, "/api/openapi.json").body)
            operations = [
                (method.upper(), path, operation)
                for path, methods in document["paths"].items()
                for method, operation in methods.items()
                if operation["operationId"] not in LEFT_OUT
            ]
            with Client(daemon.connect()) as client:
                client.ask(b"capabilities\r\n")
                for number in range(1, requests + 1):
                    if number % JOBS == 1:
                        _fill(rng, client)
                    _try(rng, web, client, rng.choice(operations), document, count)
            assert daemon.stop() == 0
            assert daemon.said() == ""


def _fill(rng: Random, client: Client) -> None:
    """Jobs in all states."""
    client.ask(b"watch a\r\n")
    for tube in (b"a", b"b", b"x/y"):
        client.ask(b"use %b\r\n" % tube)
        for _ in range(3):
            body = rng.randbytes(rng.choice((0, 3, 300)))
            delay = rng.choice((0, 1000))
            client.ask(b"put 0 %d 60 %d\r\n%b\r\n" % (delay, len(body), body))
    client.ask(b"reserve-with-timeout 0\r\n")


def _try(
    rng: Random,
    web: str,
    client: Client,
    chosen: tuple[str, str, dict[str, Any]],
    document: dict[str, Any],
    count: Count,
) -> None:
    method, path, operation = chosen
    parameters = operation.get("parameters", [])
    for each in parameters:
        if each["in"] == "path":
            text = str(_value(rng, each["schema"]))
            path = path.replace(f"{{{each['name']}}}", quote(text, safe=""))
    query = [
        (each["name"], _value(rng, each["schema"]))
        for each in parameters
        if each["in"] == "query" and rng.random() < (0.9 if each["required"] else 0.3)
    ]
    value = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        name = schema.get("$ref", "").rpartition("/")[2]
        value = _value(rng, document["components"]["schemas"][name] if name else schema)
    data = None if value is None and method == "GET" else json.dumps(value).encode()
    if data and rng.random() < 0.1:
        data = data[: rng.randrange(len(data))]
    before = _figures(client)
    answer = http.send(web, method, path + "?" + urlencode(query), OWN_PAGE, data)
    said = (method, path, query, value, answer.status, answer.body)
    assert str(answer.status) in operation["responses"] or answer.status == 404, said
    count.input(len(data or b""))
    count.add(str(answer.status))
    if answer.headers.get_content_type() == "application/json":
        found = json.loads(answer.body)
        assert ("error" in found) is (answer.status >= 400), said
    is_preview = isinstance(value, dict) and value.get("preview") is True
    if method == "GET" or answer.status in (400, 415, 422) or is_preview:
        assert _figures(client) == before, said


def _figures(client: Client) -> list[str]:
    """How often the commands that change something were executed. (Time changes jobs too.)"""
    stats = client.stats()
    return [stats["total-jobs"], *(stats[f"cmd-{word}"] for word in CHANGES)]


def _value(rng: Random, schema: dict[str, Any]) -> Any:
    """Mostly of the right type, and mostly allowed."""
    if rng.random() < 0.03:
        return rng.choice((None, True, 1.5, -1, [], {}, "x"))
    if "enum" in schema:
        return rng.choice(schema["enum"]) if rng.random() < 0.95 else "readyy"
    kind = schema.get("type")
    if kind == "object":
        needed = schema.get("required", ())
        found = {
            name: _value(rng, part)
            for name, part in schema["properties"].items()
            if rng.random() < (0.98 if name in needed else 0.3)
        }
        return found if rng.random() < 0.97 else {**found, "more": 1}
    if kind == "array":
        return [_value(rng, schema["items"]) for _ in range(rng.choice((0, 1, 3, 60)))]
    if kind == "integer":
        return rng.choice(NUMBERS) if rng.random() < 0.2 else rng.randrange(1, 60)
    if kind == "boolean":
        return rng.random() < 0.5
    return rng.choice(BYTES) if "A-Za-z0-9+/]{4}" in schema.get("pattern", "") else (
        rng.choice(TEXTS[:4]) if rng.random() < 0.7 else rng.choice(TEXTS)
    )  # fmt: skip
