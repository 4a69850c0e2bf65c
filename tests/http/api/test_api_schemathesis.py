"""schemathesis makes requests from the OpenAPI document, right and wrong ones, and compares the
answers with it.
"""

from __future__ import annotations

import warnings
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from testkit.start import Start

from tests.http.conftest import http_port

EXAMPLES = 6  # of each operation and mode
LEFT_OUT = (
    "events",  # never ends
    "history",  # starts a process for each request
    "login",  # there is none
    "drain",  # would make all later puts fail
)
OWN_PAGE = {"Sec-Fetch-Site": "same-origin"}
SETTINGS = settings(
    max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
    phases=(Phase.generate,), suppress_health_check=list(HealthCheck),
)  # fmt: skip


def test_answers_are_as_the_document_says(start: Start, log: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of its imports
        import schemathesis
    daemon = start("--http", "127.0.0.1:0", "-b", log)
    url = f"http://127.0.0.1:{http_port(daemon)}"
    asked = []
    schema: Any = schemathesis.openapi.from_url(f"{url}/api/openapi.json")
    for found in schema.get_all_operations():
        operation = found.ok()
        written = operation.definition.raw
        if written["operationId"] in LEFT_OUT:
            continue
        asked.append(operation.label)
        _ask(operation, schemathesis.GenerationMode.POSITIVE, url)
        if "parameters" in written or "requestBody" in written:  # what can be wrong
            _ask(operation, schemathesis.GenerationMode.NEGATIVE, url)
    assert len(asked) > 20
    assert daemon.client().ask(b"ping\r\n") == b"PONG\r\n"
    assert daemon.errors() == ""


def _ask(operation: Any, mode: Any, url: str) -> None:
    @SETTINGS
    @given(operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=url, headers=OWN_PAGE)

    ask()
