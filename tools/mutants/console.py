"""Mutants of the console, and of the source that it asks on its own."""

from __future__ import annotations

from .invariants import Invariant
from .mutant import Mutant

_ASSETS = "tests/http/console/test_assets.py"
_CONSOLE = "tests/http/console/test_console.py"
_PAGES = "tests/http/console/test_console_pages.py"
_REMOTE = "tests/http/api/test_api_remote.py"


def _mutant(
    invariant: Invariant, name: str, broken: str, file: str, piece: str, replacement: str, test: str
) -> Mutant:
    path = f"beanstalkd_py/http/{file}"
    return Mutant(invariant, name, broken, path, piece, replacement, (f"{test} --timeout 90",))


CONSOLE = (
    _mutant(
        Invariant.NO_MORE_THAN_THE_ROLE,
        "body-drawn-as-markup",
        "markup in the body of a job is drawn, and acts as the user who looks at it",
        "console/static/body.js",
        "    pre.replaceChildren(...views.get(name)());\n",
        "    pre.innerHTML = text;\n",
        f"{_ASSETS} -k parses_no_text",
    ),
    _mutant(
        Invariant.NO_MORE_THAN_THE_ROLE,
        "console-without-trusted-types",
        "a browser does not refuse a script of the console that draws markup",
        "console/assets.py",
        "require-trusted-types-for 'script'; trusted-types 'none'",
        "",
        f"{_CONSOLE} -k browser_refuses",
    ),
    _mutant(
        Invariant.NO_MORE_THAN_CONFIRMED,
        "more-deleted-than-counted",
        "jobs that arrive after the count are deleted too",
        "console/static/actions.js",
        "{ ...match, limit: matched }",
        "{ ...match }",
        f"{_CONSOLE} -k all_that_match",
    ),
    _mutant(
        Invariant.NO_MORE_THAN_CONFIRMED,
        "confirmed-without-a-word",
        "jobs are deleted although the number was not typed",
        "console/static/dialog.js",
        "word === null || input.value === word",
        "true",
        f"{_CONSOLE} -k all_that_match",
    ),
    _mutant(
        Invariant.NO_MORE_THAN_CONFIRMED,
        "matching-repeats-jobs",
        "by the protocol, an action comes to a job again that was buried again meanwhile",
        "api/remote.py",
        ' and job["id"] not in seen',
        "",
        f"{_REMOTE} -k each_job_once",
    ),
    _mutant(
        Invariant.NO_MORE_THAN_CONFIRMED,
        "cursor-loses-a-zero",
        "a page of jobs repeats jobs of the page before, if an id ends in a zero",
        "api/figures.py",
        '("cursor", "name"',
        '("name"',
        f"{_REMOTE} -k pages_of_jobs",
    ),
    _mutant(
        Invariant.OPERATOR_IS_TOLD,
        "restarted-server-not-asked-again",
        "after a restart of the server, the standalone console shows an error once",
        "api/remote.py",
        "            if link.is_open:\n",
        "            if True:\n",
        f"{_REMOTE} -k was_restarted",
    ),
    _mutant(
        Invariant.C_PROTOCOL_FIRST,
        "hidden-page-keeps-its-stream",
        "a console that nobody sees makes the server work",
        "console/static/live.js",
        "    else this.#close();\n",
        "",
        f"{_PAGES} -k hidden_page",
    ),
)
