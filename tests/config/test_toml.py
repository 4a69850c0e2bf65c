"""Lines of keys in a TOML document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from beanstalkd_py.config import toml

DOCUMENT = r'''# a comment with [brackets] and "quotes"
title = "a # is no comment" # [ but this is
"quoted.key" = 1
dotted.key.here = 2

many = [ # three elements
  "]", '[', # ]
  { a = 1, b = [2] },
]
text = """
key = "not a key"
[not a table] \"""
""""
raw = \'\'\'[
\ \'\'\'\'\'
[table]
key = 3
  [table.inner]
  key = 4
[[listener]]
address = "one"
[listener.tls]
certificate = "a"
[[listener]]

address = "two"
tls.certificate = "b"
[[listener.user]]
name = "c"
[[listener.user]]
name = "d"
'''.replace(r"\'", "'")


def test_each_key_has_the_line_of_its_statement() -> None:
    document = toml.parse(DOCUMENT)
    lines = document.lines
    assert lines["title",] == 2
    assert lines["quoted.key",] == 3
    assert lines["dotted",] == lines["dotted", "key"] == lines["dotted", "key", "here"] == 4
    assert lines["many",] == lines["many", 2, "b", 0] == 6
    assert (lines["text",], lines["raw",]) == (10, 14)
    assert (lines["table",], lines["table", "key"]) == (16, 17)
    assert (lines["table", "inner"], lines["table", "inner", "key"]) == (18, 19)
    assert (lines["listener",], lines["listener", 0], lines["listener", 1]) == (20, 20, 24)
    assert lines["listener", 0, "address"] == 21
    assert lines["listener", 0, "tls", "certificate"] == 23
    assert (lines["listener", 1, "address"], lines["listener", 1, "tls", "certificate"]) == (26, 27)
    assert lines["listener", 1, "user", 0, "name"] == 29
    assert lines["listener", 1, "user", 1, "name"] == 31


def paths(value: Any, path: toml.Path = ()) -> set[toml.Path]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    below = [paths(each, (*path, key)) for key, each in items]
    return {path}.union(*below)


def test_every_key_has_a_line() -> None:
    document = toml.parse(DOCUMENT)
    assert document.lines.keys() == paths(document.values) - {()}


PIECES = st.sampled_from(
    [
        *("a", "b", "c", ".", "=", " ", "\n", "\r\n", "\t", "1", "[", "]", "[[", "]]", "{", "}"),
        *('"', "'", '"""', "'''", "\\", "#", ",", "a = 1\n", "b = [\n", "[c]\n", "[[d]]\n", "true"),
        *('k = """', "l = '''", '"\n', "'\n", '"""\n', "'''\n", "é", "a.b = {}\n", "[c.a]\n"),
    ]
)


@given(st.lists(PIECES).map("".join))
def test_each_text_is_a_document_or_refused_with_a_line(text: str) -> None:
    try:
        document = toml.parse(text)
    except toml.NotToml as error:
        assert 1 <= error.line <= text.count("\n") + 1
        assert "\n" not in error.text
        return
    assert document.lines.keys() == paths(document.values) - {()}
    assert all(1 <= line <= text.count("\n") + 1 for line in document.lines.values())


def statement(number: int) -> str:
    """Each form of a value, over one line or many."""
    forms = ['"""\n[\n"""', "'''\n]\n'''", "[\n1,\n]", "1 # [", '"[" # "', "{ a = [1] }", "'\"'"]
    return f"key{number} = {forms[number % len(forms)]}\n"


@given(st.lists(st.integers(0, 6)))
def test_line_does_not_depend_on_the_statements_before(forms: list[int]) -> None:
    text = ""
    expected = {}
    for at, form in enumerate(forms):
        expected[f"key{at * 7 + form}",] = text.count("\n") + 1
        text += statement(at * 7 + form)
    lines = toml.parse(text).lines
    assert {path: line for path, line in lines.items() if len(path) == 1} == expected


def test_keys_of_deep_values_have_lines() -> None:
    text = ".".join("a" * 200) + " = 1"
    assert toml.parse(text).lines[("a",) * 200] == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb", 2), ("a = 1\nb = [", 2), ("\n\na = '''\n", 3), ("a = 1\na = 2\n", 2)],
)
def test_refused_text_has_its_line(text: str, line: int) -> None:
    with pytest.raises(toml.NotToml) as caught:
        toml.parse(text)
    assert caught.value.line == line
