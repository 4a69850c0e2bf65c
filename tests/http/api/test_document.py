"""The OpenAPI document: it is whole, and other pages can rely on it."""

from __future__ import annotations

import json
import re
from typing import Any

from beanstalkd_py.http.api.document import LOGINS, STATES, document
from beanstalkd_py.http.api.source import FEATURES

DOCUMENT = document()
OPERATIONS = [
    (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return found + [each for part in value.values() for each in references(part)]
    if isinstance(value, list):
        return [each for part in value for each in references(part)]
    return []


def test_document_is_json() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_references_lead_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert "#/components/schemas/Job" in found or found
    for reference in found:
        place = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_operations_have_different_ids() -> None:
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids) > 20


def test_parameters_of_a_path_are_declared() -> None:
    for _, path, operation in OPERATIONS:
        declared = [
            each["name"] for each in operation.get("parameters", []) if each["in"] == "path"
        ]
        assert declared == re.findall(r"\{(\w+)\}", path)


def test_only_posts_change_something() -> None:
    for method, path, operation in OPERATIONS:
        assert method in ("get", "post"), path
        if operation["operationId"] not in LOGINS:
            assert operation["x-role"] == {"get": "read", "post": "full"}[method]
            assert ("requestBody" in operation) is (method == "post")


def test_bodies_refuse_what_they_do_not_name() -> None:
    """A misspelt filter must not select all jobs."""
    for _, path, operation in OPERATIONS:
        if "requestBody" in operation:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            if "$ref" in schema:
                schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            assert schema["additionalProperties"] is False, path


def test_needs_are_features() -> None:
    needs = {operation["x-needs"] for _, _, operation in OPERATIONS if "x-needs" in operation}
    assert needs <= set(FEATURES)


def test_each_action_has_three_forms() -> None:
    for action in STATES:
        for path in (f"jobs/{{id}}/{action}", f"actions/{action}", f"tubes/{{tube}}/jobs/{action}"):
            assert "post" in DOCUMENT["paths"][f"/api/{path}"]
