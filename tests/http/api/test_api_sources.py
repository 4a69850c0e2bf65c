"""The API of a server that is reached by its protocol gives the answers of the server itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from testkit import http
from werkzeug.test import Client
from werkzeug.wrappers import Request

from beanstalkd_py.http.api.api import Api as RemoteApi
from beanstalkd_py.http.api.remote import Remote
from beanstalkd_py.http.api.turns import Turns
from tests.http.api.conftest import Api


class Far:
    """An API in this process, of a server elsewhere."""

    def __init__(self, port: int) -> None:
        turns = Turns()
        self.source = Remote("127.0.0.1", port)
        api = RemoteApi(self.source, turns, self._failed)

        @Request.application
        def application(request: Request) -> Any:
            return api.respond(request)

        self._client = Client(application)

    def _failed(self, what: str, error: Exception) -> None:
        raise error

    def ask(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        data = None if value is None else json.dumps(value)
        answer = self._client.open(path, method=method, data=data, content_type=JSON)
        return answer.status_code, json.loads(answer.get_data())


JSON = "application/json"


@pytest.fixture
def near(serve_api: Callable[..., Api]) -> Api:
    api = serve_api(at="127.0.0.1")
    api.client.ask(b"put-with 5 0 60 2 tube=a/b key=k\r\nab\r\n")
    api.put(b'{"n": 1}', b"\xff\x00", b"ann", b"bob ann", tube=b"17")
    api.put(b"late", delay=1000)
    api.client.ask(b"kick-tube 17 1\r\n")
    api.post("/api/jobs/4/bury")
    return api


@pytest.fixture
def far(near: Api) -> Iterator[Far]:
    far = Far(near.daemon.port)
    yield far
    far.source.close()


SAME = [
    "/api/tubes/17",
    "/api/tubes/none",
    "/api/tubes/17/jobs?state=ready",
    "/api/tubes/17/jobs?state=ready&limit=2",
    "/api/tubes/17/jobs?state=ready&limit=2&cursor=0.3",
    "/api/tubes/17/jobs?state=buried&contains=nn",
    "/api/tubes/none/jobs?state=ready",
    "/api/tubes/none/jobs?state=ready&contains=nn",
    "/api/jobs/1",
    "/api/jobs/3",
    "/api/jobs/2?as=json",
    "/api/jobs/2?bytes=3",
    "/api/jobs/99",
    "/api/jobs/99/body",
]
PASSING = ("age", "time-left", "oldest-ready-age", "cursor")  # a search ends in another way


def without_time(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_time(each) for key, each in value.items() if key not in PASSING}
    return [without_time(each) for each in value] if isinstance(value, list) else value


def test_both_sources_show_the_same(near: Api, far: Far) -> None:
    for path in SAME:
        status, answer = http.ask(near.web, "GET", path)
        found = far.ask("GET", path)
        assert (found[0], without_time(found[1])) == (status, without_time(answer)), path
