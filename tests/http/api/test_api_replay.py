"""While the log is read, the API shows and changes nothing."""

from __future__ import annotations

from pathlib import Path

from testkit import http
from testkit.start import Start
from testkit.waiting import wait_until

from tests.http.test_health import answers, replaying

PATHS = [
    ("GET", "/api/server", None),
    ("GET", "/api/tubes", None),
    ("GET", "/api/tubes/default", None),
    ("GET", "/api/tubes/default/jobs?state=ready", None),
    ("GET", "/api/jobs/1", None),
    ("GET", "/api/jobs/1/body", None),
    ("GET", "/api/connections", None),
    ("GET", "/api/segments", None),
    ("POST", "/api/jobs", {"tube": "mail"}),
    ("POST", "/api/jobs/1/delete", {}),
    ("POST", "/api/tubes/default/jobs/delete", {"state": "ready"}),
    ("POST", "/api/drain", {"on": True}),
]


def test_replay_refuses_the_api(
    serve: Start, launch: Start, web: str, log: str, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    daemon = replaying(serve, launch, web, log, go)
    wait_until(lambda: answers(web), "the HTTP side answers")
    for method, path, value in PATHS:
        status, answer = http.ask(web, method, path, value)
        assert (status, answer["error"]["code"]) == (503, "not_ready"), path
    assert http.ask(web, "GET", "/api/openapi.json")[0] == 200
    go.touch()
    daemon.wait_ready()
    assert http.ask(web, "GET", "/api/jobs/1")[0] == 200
    assert daemon.errors() == ""
