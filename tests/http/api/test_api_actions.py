"""Actions on one job, on a list, and on tubes: what they do, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from testkit import http

from tests.http.api.conftest import Api


def test_put_has_all_its_settings(api: Api) -> None:
    value = {
        "tube": "mail", "body": "\u00e4\r\n", "pri": 7, "delay": 50, "ttr": 9, "key": "k=v",
        "until_reserve": True, "expire": 500, "attempts": 3,
    }  # fmt: skip
    assert api.post("/api/jobs", value, 201) == {"id": 1, "created": True}
    job = api.get("/api/jobs/1")
    assert (job["body"], job["tube"], job["state"]) == (value["body"], "mail", "delayed")
    shown = [job[key] for key in ("pri", "delay", "ttr", "key", "key-until-reserve")]
    assert shown == [7, 50, 9, "k=v", True]
    assert job["max-attempts"] == 3 and 0 < job["expires-in"] <= 500


def test_put_without_settings_is_a_plain_put(api: Api) -> None:
    assert api.post("/api/jobs", {"tube": "mail", "body_base64": "/wA="}, 201)["id"] == 1
    assert api.client.ask(b"peek 1\r\n") == b"FOUND 1 2\r\n\xff\x00\r\n"
    assert api.get("/api/server")["stats"]["cmd-put"] == 1


def test_repeated_put_with_a_key_makes_one_job(api: Api) -> None:
    value = {"tube": "mail", "body": "a", "key": "once"}
    assert api.post("/api/jobs", value, 201) == {"id": 1, "created": True}
    assert api.post("/api/jobs", value, 200) == {"id": 1, "created": False}
    assert api.ids("/api/tubes/mail/jobs?state=ready") == [1]


def test_put_in_the_future(api: Api) -> None:
    at = int(api.get("/api/server")["at"]) + 1000
    api.post("/api/jobs", {"tube": "mail", "at": at}, 201)
    assert 900 < api.get("/api/jobs/1")["time-left"] <= 1000


def test_body_is_never_taken_for_commands(api: Api) -> None:
    """A server takes what follows a line that is too long for commands."""
    api.put(b"a")
    longest = "t" * 200
    put = {"tube": longest, "body": "delete 1\r\ndelete 1\r\n", "key": "k" * 200}
    assert api.error("POST", "/api/jobs", {**put, "pri": 0xFFFFFFFF}) == (422, "too_long")
    assert api.state(1) == "ready"
    api.post("/api/jobs", {**put, "key": "k" * 150}, 201)
    assert api.state(1) == "ready"


def test_put_that_the_server_refuses(serve_api: Callable[..., Api]) -> None:
    api = serve_api("-z", "10")
    put = {"tube": "mail", "body": "a" * 11}
    assert api.error("POST", "/api/jobs", put) == (413, "job_too_big")
    assert api.post("/api/drain", {"on": True}) == {"draining": True}
    put["body"] = "a"
    assert api.error("POST", "/api/jobs", put) == (503, "draining")
    assert api.post("/api/drain", {"on": False}) == {"draining": False}
    api.post("/api/tubes/mail/policy", {"max-jobs": 1})
    api.post("/api/jobs", put, 201)
    assert api.error("POST", "/api/jobs", put) == (409, "tube_full")


def test_one_job_passes_through_its_states(api: Api) -> None:
    api.put(b"a", pri=9)
    assert api.post("/api/jobs/1/bury") == {"id": 1}
    job = api.get("/api/jobs/1")
    assert (job["state"], job["pri"], job["buries"], job["reserves"]) == ("buried", 9, 1, 1)
    api.post("/api/jobs/1/kick")
    assert api.state(1) == "ready"
    api.post("/api/jobs/1/move", {"to": "other"})
    assert api.get("/api/jobs/1")["tube"] == "other"
    api.post("/api/jobs/1/delete")
    assert api.state(1) == "gone"


def test_job_whose_state_does_not_allow_it(api: Api) -> None:
    api.put(b"a")
    assert api.error("POST", "/api/jobs/1/kick", {}) == (409, "ready")
    api.post("/api/jobs/1/bury")
    assert api.error("POST", "/api/jobs/1/bury", {}) == (409, "buried")
    api.post("/api/jobs/1/kick")
    api.client.ask(b"watch mail\r\n")
    api.client.ask(b"reserve\r\n")
    for action, body in (("kick", {}), ("bury", {}), ("delete", {}), ("move", {"to": "b"})):
        assert api.error("POST", f"/api/jobs/1/{action}", body) == (409, "reserved")
    assert api.client.ask(b"release 1 0 0\r\n") == b"RELEASED\r\n"


@pytest.mark.parametrize("action", ["kick", "bury", "delete", "move"])
def test_job_that_is_not_there(shared: Api, action: str) -> None:
    body = {"to": "b"} if action == "move" else {}
    assert shared.error("POST", f"/api/jobs/1000000/{action}", body) == (404, "no_job")


def test_list_reports_each_job_that_failed(api: Api) -> None:
    api.put(b"a", b"b", b"c")
    api.client.ask(b"watch mail\r\n")
    api.client.ask(b"reserve\r\n")
    found = api.post("/api/actions/delete", {"ids": [1, 2, 9, 2]})
    assert (found["matched"], found["done"], found["failed"]) == (1, 1, 2)
    assert [(each["id"], each["code"]) for each in found["failures"]] == [
        (1, "reserved"), (9, "no_job"),
    ]  # fmt: skip
    assert [api.state(id) for id in (1, 2, 3)] == ["reserved", "gone", "ready"]


def test_long_list_is_done_whole(api: Api) -> None:
    ids = api.put(*[b"a"] * 120)
    found = api.post("/api/actions/bury", {"ids": ids})
    assert (found["matched"], found["done"], found["failed"]) == (120, 120, 0)
    found = api.post("/api/actions/kick", {"ids": ids, "preview": True})
    assert (found["matched"], found["done"]) == (120, 0)
    assert {api.state(id) for id in ids} == {"buried"}
    assert api.post("/api/actions/kick", {"ids": ids})["done"] == 120
    assert api.post("/api/actions/move", {"ids": ids, "to": "b"})["done"] == 120
    assert api.get("/api/tubes/b")["current-jobs-ready"] == 120


def test_truncate_counts_first(api: Api) -> None:
    api.put(b"a", b"b", b"c")
    api.put(b"d", delay=100)
    api.post("/api/jobs/1/bury")
    path = "/api/tubes/mail/truncate"
    assert api.post(path, {"preview": True})["matched"] == 4
    assert api.post(path, {"preview": True, "state": "ready"})["matched"] == 2
    assert api.get("/api/tubes/mail")["current-jobs-ready"] == 2
    assert api.post(path, {"state": "ready"})["done"] == 2
    assert [api.state(id) for id in (1, 2, 3, 4)] == ["buried", "gone", "gone", "delayed"]
    assert api.post(path)["done"] == 2
    assert api.error("POST", "/api/tubes/none/truncate", {}) == (404, "no_tube")


def test_pause_and_resume(api: Api) -> None:
    api.put(b"a")
    assert api.post("/api/tubes/mail/pause", {"seconds": 100}) == {"tube": "mail", "pause": 100}
    assert 0 < api.get("/api/tubes/mail")["pause-time-left"] < 100
    api.client.ask(b"watch mail\r\n")
    assert api.client.ask(b"reserve-with-timeout 0\r\n") == b"TIMED_OUT\r\n"
    assert api.post("/api/tubes/mail/resume") == {"tube": "mail", "pause": 0}
    assert api.client.ask(b"reserve-with-timeout 0\r\n").startswith(b"RESERVED 1 ")
    assert api.error("POST", "/api/tubes/none/pause", {"seconds": 1}) == (404, "no_tube")
    assert api.error("POST", "/api/tubes/none/resume", {}) == (404, "no_tube")


def test_policy_keeps_what_it_does_not_name(api: Api) -> None:
    api.put(b"a")
    api.post("/api/tubes/mail/policy", {"max-attempts": 3, "dead-tube": "dead"})
    answer = api.post("/api/tubes/mail/policy", {"dead-tube": "", "expire": 9})
    assert answer == {"tube": "mail", "set": {"dead-tube": "", "expire": 9}}
    tube = api.get("/api/tubes/mail")
    assert [tube[key] for key in ("max-attempts", "dead-tube", "expire")] == [3, "", 9]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/api/jobs", {}),
        ("/api/jobs", []),
        ("/api/jobs", {"tube": "-a"}),
        ("/api/jobs", {"tube": "a", "bod": "b"}),
        ("/api/jobs", {"tube": "a", "body": 1}),
        ("/api/jobs", {"tube": "a", "body": "\ud800"}),
        ("/api/jobs", {"tube": "a", "body": "b", "body_base64": ""}),
        ("/api/jobs", {"tube": "a", "body_base64": "YWJ"}),
        ("/api/jobs", {"tube": "a", "pri": 4294967296}),
        ("/api/jobs", {"tube": "a", "pri": True}),
        ("/api/jobs", {"tube": "a", "pri": -1}),
        ("/api/jobs", {"tube": "a", "pri": 1.5}),
        ("/api/jobs", {"tube": "a", "pri": 1e300}),
        ("/api/jobs", {"tube": "a", "ttr": 0}),
        ("/api/jobs", {"tube": "a", "key": "a b"}),
        ("/api/jobs", {"tube": "a", "key": "a\n"}),
        ("/api/jobs", {"tube": "a", "until_reserve": True}),
        ("/api/jobs", {"tube": "a", "at": 1, "delay": 1}),
        ("/api/jobs/1/kick", {"to": "b"}),
        ("/api/jobs/1/move", {}),
        ("/api/actions/kick", {"ids": []}),
        ("/api/actions/kick", {"ids": [0]}),
        ("/api/actions/kick", {"ids": list(range(1, 1002))}),
        ("/api/actions/kick", {"ids": [1], "previeww": True}),
        ("/api/tubes/a/jobs/kick", {"state": "ready"}),
        ("/api/tubes/a/jobs/delete", {"state": "reserved"}),
        ("/api/tubes/a/jobs/delete", {"state": "ready", "contain": "x"}),
        ("/api/tubes/a/jobs/delete", {"state": "ready", "contains": ""}),
        ("/api/tubes/a/jobs/delete", {"state": "ready", "limit": 0}),
        ("/api/tubes/a/pause", {"seconds": 0}),
        ("/api/tubes/a/policy", {}),
        ("/api/tubes/a/policy", {"max-attempt": 1}),
        ("/api/tubes/a/policy", {"dead-tube": "a b"}),
        ("/api/drain", {"on": 1}),
    ],
)
def test_wrong_value_is_refused(shared: Api, path: str, value: object) -> None:
    before = shared.get("/api/server")["stats"]["total-jobs"]
    assert shared.error("POST", path, value) == (422, "invalid")
    assert shared.get("/api/server")["stats"]["total-jobs"] == before


def test_integer_may_have_a_point(shared: Api) -> None:
    id = shared.post("/api/jobs", b'{"tube": "mail", "pri": 7.0, "ttr": 6e1}', 201)["id"]
    job = shared.get(f"/api/jobs/{id}")
    assert (job["pri"], job["ttr"]) == (7, 60)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"tube": NaN}', b"[" * 9000])
def test_body_that_is_not_json_is_refused(shared: Api, data: bytes) -> None:
    assert shared.error("POST", "/api/jobs", data) == (400, "bad_json")


def test_only_json_is_taken(shared: Api) -> None:
    """A form of another page can send other types without asking first."""
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers: dict[str, Any] = {"Content-Type": kind}
        status, answer = http.ask(shared.web, "POST", "/api/jobs", b'{"tube": "a"}', **headers)
        assert (status, answer["error"]["code"]) == (415, "not_json")


def test_large_request_is_refused(shared: Api) -> None:
    value = {"tube": "a", "body": "b" * (256 << 10)}
    assert shared.error("POST", "/api/jobs", value) == (413, "too_large")


def test_answer_comes_when_the_change_is_durable(serve_api: Callable[..., Api], log: str) -> None:
    """The server is killed after the answer: nothing is lost."""
    api = serve_api("-b", log)
    assert api.post("/api/jobs", {"tube": "mail", "body": "a"}, 201)["id"] == 1
    api.put(b"b", b"c")
    api.post("/api/actions/delete", {"ids": [2]})
    api.post("/api/jobs/3/bury")
    api.post("/api/tubes/mail/pause", {"seconds": 1000})
    api.daemon.kill()
    api.client = api.daemon.start().client()
    assert [api.state(id) for id in (1, 2, 3)] == ["ready", "gone", "buried"]
    assert int(api.client.stats(b"stats-tube mail")["pause"]) == 1000


def test_connections_of_the_api_leave_nothing(api: Api) -> None:
    """Also those of failed actions. A client's limit of connections does not count them."""
    api.put(b"a")
    for _ in range(3):
        api.post("/api/jobs", {"tube": "b"}, 201)
        api.post("/api/jobs/1/bury")
        api.post("/api/jobs/1/kick")
        api.error("POST", "/api/jobs/1/kick", {})
    before = api.daemon.descriptors()
    for _ in range(3):
        api.post("/api/jobs/1/bury")
        api.post("/api/jobs/1/kick")
    assert api.daemon.descriptors() <= before + 2
    stats = api.get("/api/server")["stats"]
    assert stats["current-connections"] <= 2
    assert stats["current-jobs-reserved"] == stats["current-workers"] == 0


def test_api_takes_no_connection_of_a_client(serve_api: Callable[..., Api]) -> None:
    api = serve_api("--max-connections", "2")
    api.get("/api/server")
    with api.daemon.connect() as other:
        other.sendall(b"ping\r\n")
        assert other.recv(100) == b"PONG\r\n"
        assert api.get("/api/server")["stats"]["max-connections-reached"] == 0
