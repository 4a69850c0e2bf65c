"""What the API shows of a server: figures as the protocol has them, jobs page by page, bodies."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit import http

from beanstalkd_py.http.api import figures, history
from beanstalkd_py.http.api.errors import ApiError
from tests.http.api.conftest import Api

PASSING = ("age", "time-left", "oldest-ready-age", "pause-time-left", "expires-in")
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/;.$_()-"


def yaml(api: Api, command: bytes) -> dict[str, Any]:
    api.client.ask(b"capabilities\r\n")
    head, _, body = api.client.ask(command + b"\r\n").partition(b"\r\n")
    assert head.startswith(b"OK "), head
    return figures.parsed(body)


def without_time(figures: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figures.items() if key not in PASSING}


def test_document_is_served(shared: Api) -> None:
    assert "/api/jobs/{id}" in shared.get("/api/openapi.json")["paths"]


def test_server_has_the_figures_of_stats(api: Api) -> None:
    api.put(b"a", b"b")
    found = api.get("/api/server")
    assert found["server"] == "beanstalkd-py"
    assert "list-jobs" in found["extensions"]
    assert "search" in found["available"] and "history" not in found["available"]
    shown = yaml(api, b"stats")
    assert set(found["stats"]) == set(shown)
    for key in ("current-jobs-ready", "total-jobs", "max-job-size", "version", "pid"):
        assert found["stats"][key] == shown[key]


def test_tubes_have_the_figures_of_stats_tube(api: Api) -> None:
    api.put(b"a")
    api.put(b"b", tube=b"17")
    api.client.ask(b"pause-tube 17 100\r\n")
    found = api.get("/api/tubes")
    ages = [tube.get("oldest-ready-age") for tube in found["tubes"]]
    assert [age is None for age in ages] == [True, False, False]
    assert found["left_out"] == 0
    assert [tube["name"] for tube in found["tubes"]] == ["default", "mail", "17"]
    with_more = yaml(api, b"stats-tube 17")
    assert without_time(with_more).items() >= without_time(found["tubes"][2]).items()
    assert without_time(api.get("/api/tubes/17")) == without_time(with_more)
    assert 90 < found["tubes"][2]["pause-time-left"] < 100


def test_tube_with_any_allowed_name_is_found(api: Api) -> None:
    assert LETTERS.encode() and api.put(b"a", tube=LETTERS.encode()) == [1]
    quoted = LETTERS.replace("/", "%2F").replace(";", "%3B")
    assert api.get(f"/api/tubes/{quoted}")["name"] == LETTERS
    assert api.ids(f"/api/tubes/{quoted}/jobs?state=ready") == [1]
    api.put(b"a", tube=b"a/jobs")
    assert api.get("/api/tubes/a%2Fjobs")["name"] == "a/jobs"


def test_job_has_the_figures_of_stats_job(api: Api) -> None:
    api.client.ask(b"put-with 5 100 60 3 tube=mail key=a\\b expire=500\r\nabc\r\n")
    found = api.get("/api/jobs/1")
    assert found["key"] == "a\\b" and 400 < found["expires-in"] < 500
    assert without_time(found).items() >= without_time(yaml(api, b"stats-job 1")).items()


def pages(api: Api, path: str) -> list[int]:
    """Ids of all pages."""
    found: list[int] = []
    cursor = ""
    while len(found) < 1000:
        page = api.get(path + (f"&cursor={cursor}" if cursor else ""))
        found += [job["id"] for job in page["jobs"]]
        cursor = page["cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("query", ["", "&contains=b"])
def test_pages_skip_and_repeat_no_job(api: Api, query: str) -> None:
    ids = [api.put(b"body", pri=pri)[0] for pri in (9, 3, 3, 7, 1, 3, 9)]
    expected = ids if query else [5, 2, 3, 6, 4, 1, 7]
    for limit in (1, 2, 3, 7, 8):
        path = f"/api/tubes/mail/jobs?state=ready&limit={limit}{query}"
        assert pages(api, path) == expected


@pytest.mark.parametrize("query", ["", "&contains=b"])
def test_page_goes_on_after_its_last_job_was_deleted(api: Api, query: str) -> None:
    api.put(*[b"body"] * 6)
    path = f"/api/tubes/mail/jobs?state=ready&limit=2{query}"
    cursor = api.get(path)["cursor"]
    for id in (1, 2, 4):
        api.client.ask(b"delete %d\r\n" % id)
    api.put(b"body")
    assert api.ids(f"{path}&cursor={cursor}") == [3, 5]


def test_cursor_of_another_list_is_refused(api: Api) -> None:
    """It would lead to another place."""
    api.put(*[b"body"] * 3)
    path = "/api/tubes/mail/jobs?state=ready&limit=1"
    plain, found = api.get(path)["cursor"], api.get(f"{path}&contains=b")["cursor"]
    assert api.error("GET", f"{path}&cursor={found}") == (422, "invalid")
    assert api.error("GET", f"{path}&contains=b&cursor={plain}") == (422, "invalid")


def test_each_state_is_listed(api: Api) -> None:
    api.put(b"a", b"b", b"c", b"d")
    api.put(b"e", delay=100)
    api.client.ask(b"watch mail\r\n")
    for _ in range(2):
        api.client.ask(b"reserve\r\n")
    api.client.ask(b"bury 1 0\r\n")
    for state, ids in {"ready": [3, 4], "reserved": [2], "delayed": [5], "buried": [1]}.items():
        assert api.ids(f"/api/tubes/mail/jobs?state={state}") == ids
        assert api.ids(f"/api/tubes/mail/jobs?state={state}&min_age=0") == ids


def test_filters_all_count(api: Api) -> None:
    api.put(b"\xff\x00ann", b"bob ann", b"bob", b"carl")
    path = "/api/tubes/mail/jobs?state=ready"
    assert api.ids(f"{path}&contains=ann") == [1, 2]
    assert api.ids(f"{path}&contains=ann&contains_base64=Ym9i") == [2]
    assert api.ids(f"{path}&contains_base64=/wA=") == [1]
    assert api.ids(f"{path}&min_age=1000") == []
    assert api.ids(f"{path}&max_age=1000") == [1, 2, 3, 4]
    assert api.ids(f"{path}&contains=ann&min_attempts=1") == []
    api.client.ask(b"watch mail\r\n")
    api.client.ask(b"reserve\r\n")
    api.client.ask(b"release 1 0 0\r\n")
    assert api.ids(f"{path}&min_attempts=1") == [1]
    assert api.ids(f"{path}&max_attempts=0") == [2, 3, 4]


BODIES = [
    (b"", "auto", "", "text", False),
    (b'{"a": [1, "\xc3\xa4"]}', "auto", '{"a": [1, "\u00e4"]}', "text", True),
    (b'{"a": [1, "\xc3\xa4"]}', "json", {"a": [1, "\u00e4"]}, "json", True),
    (b"<script>alert(1)</script>", "auto", "<script>alert(1)</script>", "text", False),
    (b"\xff\xfe", "auto", "//4=", "base64", False),
    (b"abc", "base64", "YWJj", "base64", False),
    (b"NaN", "auto", "NaN", "text", False),
    (b"[1e999]", "auto", "[1e999]", "text", False),
    (b"[1e99]", "json", [1e99], "json", True),
    (b"[" * 50_000, "auto", "[" * 50_000, "text", False),
    (b"1" * 5000, "auto", "1" * 5000, "text", False),
    (b'"\\ud800"', "json", "\ud800", "json", True),
]


@pytest.mark.parametrize(("body", "wish", "shown", "encoding", "is_json"), BODIES)
def test_body_is_shown(
    shared: Api, body: bytes, wish: str, shown: object, encoding: str, is_json: bool
) -> None:
    (id,) = shared.put(body)
    found = shared.get(f"/api/jobs/{id}?as={wish}")
    assert (found["body"], found["encoding"], found["is_json"]) == (shown, encoding, is_json)
    assert found["size"] == len(body) and not found["truncated"]


def test_body_that_is_not_as_wished_is_refused(shared: Api) -> None:
    id, other = shared.put(b"\xff", b"{")
    assert shared.error("GET", f"/api/jobs/{id}?as=text") == (409, "not_text")
    assert shared.error("GET", f"/api/jobs/{other}?as=json") == (409, "not_json")


def test_long_body_is_cut_between_characters(shared: Api) -> None:
    (id,) = shared.put("\u00e4".encode() * 1000)
    found = shared.get(f"/api/jobs/{id}?bytes=101")
    assert found["body"] == "\u00e4" * 50
    assert (found["truncated"], found["size"]) == (True, 2000)
    assert shared.error("GET", f"/api/jobs/{id}?bytes=101&as=json") == (409, "not_json")


def test_whole_body_comes_as_bytes(serve_api: Callable[..., Api]) -> None:
    api = serve_api("-z", "1000000")
    body = bytes(range(256)) * 2000
    api.put(body)
    with http.connect(api.web) as connection:
        connection.sendall(b"GET /api/jobs/1/body HTTP/1.0\r\nHost: localhost\r\n\r\n")
        head, _, sent = http.rest(connection).partition(b"\r\n\r\n")
    assert sent == body
    assert b"Content-Disposition: attachment" in head and b"nosniff" in head


def test_connections_are_those_of_clients(api: Api) -> None:
    api.client.ask(b"use mail\r\n")
    api.get("/api/server")
    found = api.get("/api/connections")["connections"]
    assert [each["tube"] for each in found] == ["mail"]
    assert without_time(found[0]) == without_time(yaml(api, b"stats-conn"))


def test_segments_of_a_log(serve_api: Callable[..., Api], log: str) -> None:
    api = serve_api("-b", log, "-s", "65536")
    for _ in range(4):
        api.put(b"a" * 30_000)
    found = api.get("/api/segments")
    segments = found["segments"]
    assert len(segments) > 1 and found["log"] and not found["full"]
    assert [each["active"] for each in segments] == [False] * (len(segments) - 1) + [True]
    assert sum(each["live_bytes"] for each in segments) == found["live_bytes"] > 120_000
    assert found["total_bytes"] >= sum(each["bytes"] for each in segments)


def test_server_without_a_log_has_no_segments(api: Api) -> None:
    assert api.get("/api/segments")["log"] is False
    assert api.error("GET", "/api/jobs/1/history") == (501, "not_available")


def test_history_runs_nothing_of_the_working_directory(
    serve_api: Callable[..., Api], log: str, tmp_path: Path
) -> None:
    (tmp_path / "beanstalkd_binlog.py").write_text("print('{}')")
    api = serve_api("-b", log, cwd=tmp_path)
    assert api.get("/api/jobs/1/history")["records"] == []


def test_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A process that fails has no records either."""
    with pytest.raises(ApiError, match="ended with 66") as raised:
        history.of_job(str(tmp_path / "none"), 1)
    assert (raised.value.status, raised.value.code) == (503, "no_history")


def test_history_has_each_record_of_a_job(serve_api: Callable[..., Api], log: str) -> None:
    api = serve_api("-b", log)
    api.put(b"a", b"b")
    api.post("/api/jobs/1/bury")
    api.post("/api/jobs/1/kick")
    api.post("/api/jobs/1/delete")
    found = api.get("/api/jobs/1/history")["records"]
    assert [record["event"] for record in found] == ["put", "bury", "kick", "delete"]
    assert api.get("/api/jobs/7/history")["records"] == []
    assert api.daemon.errors() == ""


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nothing", 404, "no_path"),
        ("GET", "/api/", 404, "no_path"),
        ("GET", "/api/tubes/", 404, "no_path"),
        ("GET", "/api/tubes/none", 404, "no_tube"),
        ("GET", "/api/tubes/none/jobs?state=ready", 404, "no_tube"),
        ("GET", "/api/jobs/1000000", 404, "no_job"),
        ("GET", "/api/jobs/1000000/body", 404, "no_job"),
        ("GET", "/api/jobs/0", 422, "invalid"),
        ("GET", "/api/jobs/18446744073709551616", 422, "invalid"),
        ("GET", "/api/jobs/a", 422, "invalid"),
        ("GET", "/api/tubes/-a", 422, "invalid"),
        ("GET", "/api/tubes/a%0Ab", 422, "invalid"),
        ("GET", f"/api/tubes/{'a' * 201}", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=readyy", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&state=ready", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&contain=x", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&contains=", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&contains=%FF", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&contains_base64=YWJ", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&limit=0", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&limit=201", 422, "invalid"),
        ("GET", "/api/tubes/mail/jobs?state=ready&cursor=x", 422, "invalid"),
        ("GET", "/api/tubes/%FF", 404, "no_path"),
        ("POST", "/api/tubes", 405, "method"),
        ("GET", "/api/drain", 405, "method"),
        ("DELETE", "/api/jobs/1", 405, "method"),
    ],
)
def test_wrong_request_is_refused(
    shared: Api, method: str, path: str, status: int, code: str
) -> None:
    assert shared.error(method, path) == (status, code)


def test_wrong_method_names_the_others(shared: Api) -> None:
    request = (
        b"DELETE /api/server HTTP/1.0\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\r\n"
    )
    assert b"Allow: GET, HEAD\r\n" in http.talk(shared.web, request)
    head = http.talk(shared.web, b"HEAD /api/server HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n")


def test_reads_change_nothing(serve_api: Callable[..., Api], log: str) -> None:
    """No record is written, and no figure of a tube or job changes."""
    api = serve_api("-b", log)
    api.put(b"a", b"b")
    api.put(b"c", delay=100)
    api.client.ask(b"use default\r\n")

    def state() -> list[Any]:
        jobs = [yaml(api, b"stats-job %d" % id) for id in (1, 2, 3)]
        tubes = api.get("/api/tubes")
        written = yaml(api, b"stats")["binlog-records-written"]
        return [*map(without_time, [*jobs, *tubes["tubes"][1:]]), written]

    before = state()
    for path, methods in api.get("/api/openapi.json")["paths"].items():
        if "get" in methods and path != "/api/events":
            query = "?state=ready" if path.endswith("/jobs") else ""
            filled = path.replace("{tube}", "mail").replace("{id}", "1")
            assert http.get(api.web, filled + query).status == 200, path
    assert state() == before


def test_base64_is_that_of_the_body(shared: Api) -> None:
    body = bytes(range(256))
    (id,) = shared.put(body)
    assert base64.b64decode(shared.get(f"/api/jobs/{id}?as=base64")["body"]) == body
