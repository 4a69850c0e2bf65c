"""docs/api.md: its examples, on a real server."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from testkit import http

from beanstalkd_py.http.api.document import document
from tests.http.api.conftest import Api

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
EXAMPLE = re.compile(r"^\$ (curl [^\n]*)\n([^\n]*)$", re.MULTILINE)


def test_examples_are_true(api: Api) -> None:
    examples = EXAMPLE.findall(PAGE)
    assert len(examples) == 6
    for command, answer in examples:
        begin, url, *more = re.split(r" (?=localhost|--json)", command)
        assert begin == ("curl -s $H" if more else "curl -s")
        path = url.removeprefix("localhost:11380")
        value = json.loads(shlex.split(more[0])[1]) if more else None
        _, found = http.ask(api.web, "POST" if more else "GET", path, value)
        assert json.dumps(found) == answer, command


def test_each_path_is_on_the_page() -> None:
    for path in document()["paths"]:
        short = path.replace("{tube}", "NAME").replace("{id}", "ID")
        short = re.sub("/(kick|bury|delete|move)$", "/ACTION", short)
        last = short.rpartition("/")[2]
        assert f"`{short}" in PAGE or f".../{last}`" in PAGE, short
