"""Functions of the console's modules, called in a browser."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.http.console.conftest import Shown

pytestmark = pytest.mark.browser

HEX = "00000000  61 62 0a ff" + 38 * " " + " |ab..|"
INDENTED = '{\n  "a": [\n    1,\n    {}\n  ],\n  "b": "{,}"\n}'
CASES = (
    ("format", "number(1234567)", "1 234 567"),
    ("format", "number(-4.2)", "\u22124"),
    ("format", "rate(null)", "\u2013"),
    ("format", "rate(0)", "0"),
    ("format", "rate(0.01)", "<0.1"),
    ("format", "rate(9.96)", "10"),
    ("format", "rate(1234.5)", "1 235"),
    ("format", "bytes(0)", "0 B"),
    ("format", "bytes(999)", "999 B"),
    ("format", "bytes(999999)", "1.0 MB"),
    ("format", "bytes(12345678901)", "12.3 GB"),
    ("format", "age(0)", "0 s"),
    ("format", "age(119)", "119 s"),
    ("format", "age(120)", "2 min"),
    ("format", "age(7200)", "2 h"),
    ("format", "age(200000)", "2 d"),
    ("format", "duration(0)", "0 s"),
    ("format", "duration(59)", "59 s"),
    ("format", "duration(3600)", "1 h"),
    ("format", "duration(1051205)", "12 d 4 h"),
    ("format", "count(1, 'job')", "1 job"),
    ("format", "count(2000, 'job')", "2 000 jobs"),
    ("format", "parseDuration('90')", 90),
    ("format", "parseDuration(' 1.5 h ')", 5400),
    ("format", "parseDuration('10min')", 600),
    ("format", "parseDuration('soon')", None),
    ("format", "parseDuration('')", None),
    ("charts", "niceTop(0)", 1),
    ("charts", "niceTop(37)", 50),
    ("charts", "niceTop(1000)", 1000),
    ("body", "indent('{\"a\":[1,{}],\"b\":\"{,}\"}')", INDENTED),
    ("body", "indent('[12345678901234567890]')", "[\n  12345678901234567890\n]"),
    ("body", "hexDump(new Uint8Array([97, 98, 10, 255]))", HEX),
    ("body", "decode(new Uint8Array([255]))", None),
    ("body", "decode(new Uint8Array([0xc3, 0xbc]))", "ü"),
    ("api", "queryText({ a: 'x y', b: '', c: null, d: 0 })", "?a=x+y&d=0"),
)  # fmt: skip


def test_functions_have_these_results(shown: Callable[..., Shown]) -> None:
    page = shown().page
    base = page.run("document.querySelector('script').src").removesuffix("main.js")
    page.run("window.modules = {}, 0")
    for module in {module for module, _, _ in CASES}:
        page.wait(f"import('{base}{module}.js').then((all) => !!(modules.{module} = all))")
    calls = ", ".join(f"modules.{module}.{call}" for module, call, _ in CASES)
    found = json.loads(page.run(f"JSON.stringify([{calls}])"))
    plain = [each.replace("\u202f", " ") if isinstance(each, str) else each for each in found]
    shown_results = dict(zip([call for _, call, _ in CASES], plain, strict=True))
    assert shown_results == {call: expected for _, call, expected in CASES}
