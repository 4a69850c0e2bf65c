"""The static files of the console, as a browser gets them."""

from __future__ import annotations

import re

import pytest
from testkit import http
from testkit.start import Start

from beanstalkd_py.http.console.assets import STATIC, pages

SOURCES = sorted(STATIC.glob("**/*.*"))
# Each parses text as markup or as a script.
SINKS = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|srcdoc|createContextualFragment|DOMParser|eval)\b"
    r"|document\.write|new Function|setTimeout\([\"'`]|javascript:"
)


def test_page_names_its_files_by_their_version(serve: Start, web: str) -> None:
    serve()
    page = http.get(web, "/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    found = re.findall(r'(?:src|href)="(console/[^"]+)"', page.body)
    assert len(found) == 4
    kinds = set()
    for path in found:
        file = http.get(web, f"/{path}")
        assert (file.status, "immutable" in file.headers["Cache-Control"]) == (200, True), path
        kinds.add(file.headers["Content-Type"].partition(";")[0])
    assert kinds == {"text/javascript", "text/css", "image/svg+xml"}
    other_version = re.sub("console/[0-9a-f]+/", "console/0123456789abcdef/", found[0])
    assert http.get(web, f"/{other_version}").status == 404


def test_imports_are_files_of_the_console() -> None:
    names = {path.partition("/console/")[2].partition("/")[2] for path in pages()}
    for source in SOURCES:
        for target in re.findall(r'(?:from|import) "([^"]+)"', source.read_text()):
            path = (source.parent / target).resolve().relative_to(STATIC)
            assert path.as_posix() in names, source


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_source_parses_no_text_as_markup(source: object) -> None:
    text = source.read_text()  # type: ignore[attr-defined]
    assert SINKS.search(text) is None
    assert re.search(r"https?://(?!www\.w3\.org/)", text) is None  # nothing from elsewhere


@pytest.mark.parametrize("text", ["e.innerHTML = x", "eval(x)", "document.write(x)"])
def test_markup_in_a_source_is_noticed(text: str) -> None:
    assert SINKS.search(text)
